/**
 * Node's own modules, for code that is also bundled for browsers: asked for when used, so that no bundler and no
 * browser meets an import of them.
 */
interface NodeModules {
  readonly "node:child_process": typeof import("node:child_process");
  readonly "node:crypto": typeof import("node:crypto");
  readonly "node:fs": typeof import("node:fs");
  readonly "node:fs/promises": typeof import("node:fs/promises");
  readonly "node:os": typeof import("node:os");
  readonly "node:path": typeof import("node:path");
  readonly "node:util": typeof import("node:util");
}

/** @throws Error outside Node (and what behaves as Node): `what` says what needed the module. */
export function nodeModule<Name extends keyof NodeModules>(name: Name, what: string): NodeModules[Name] {
  const node = globalThis.process?.getBuiltinModule?.(name) as NodeModules[Name] | undefined;
  if (node) return node;
  throw new Error(`${what} needs ${name}, which is only there in Node`);
}
