/** What packages that only Node can run are to a bundler for browsers: nothing (package.json, imports). */
export default undefined;
