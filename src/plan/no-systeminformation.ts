/** What `#systeminformation` is to a bundler for browsers: nothing (package.json, imports). */
export default undefined;
