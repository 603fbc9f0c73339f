/** The tools that the live check offers a model, and what a call of one has to look like. */
import { z } from "zod";

/** A tool in the form of the chat completions API. */
export interface ToolSchema {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description: string;
    readonly parameters: {
      readonly type: "object";
      readonly properties: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
      readonly required: readonly string[];
    };
  };
}

type Properties = ToolSchema["function"]["parameters"]["properties"];

const tool = (name: string, description: string, required: string[], properties: Properties): ToolSchema => ({
  type: "function",
  function: { name, description, parameters: { type: "object", properties, required } },
});

/** A tool that reads a file. */
export const READ_FILE = tool("read_file", "Read lines of a text file.", ["path"], {
  path: { type: "string", description: "Path of the file" },
  offset: { type: "integer", description: "First line, from 1", default: 1 },
  limit: { type: "integer", description: "Number of lines", default: 500 },
});
/** A tool that runs code. */
export const EXECUTE_CODE = tool("execute_code", "Run Python code and return what it prints.", ["code"], {
  code: { type: "string", description: "Python source" },
});
/** A tool that searches the web. */
export const WEB_SEARCH = tool("web_search", "Search the web.", ["query"], {
  query: { type: "string", description: "What to search for" },
  max_results: { type: "integer", description: "Number of results", default: 5 },
});

/** The tools that a checked server is offered. */
export const TOOLS: readonly ToolSchema[] = [READ_FILE, EXECUTE_CODE, WEB_SEARCH];

const parameters = new Map(
  TOOLS.map(({ function: f }) => [f.name, z.fromJSONSchema(JSON.parse(JSON.stringify(f.parameters)))]),
);

/** Why a call is not one of the offered tools with arguments of its schema; null when it is. */
export function callFault(name: string, argumentText: string, offered: readonly ToolSchema[]): string | null {
  if (!offered.some((entry) => entry.function.name === name)) return `calls ${name}, which was not offered`;
  let value: unknown;
  try {
    value = JSON.parse(argumentText);
  } catch {
    return `arguments of ${name} are not JSON: ${argumentText.slice(0, 80)}`;
  }
  const schema = parameters.get(name);
  if (!schema) return `no schema for ${name}`;
  const parsed = schema.safeParse(value);
  if (parsed.success) return null;
  const { path, message } = parsed.error.issues[0]!;
  return `arguments of ${name}: ${path.join(".") || "top level"}: ${message}`;
}
