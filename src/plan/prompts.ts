/**
 * The fixed prompts with which a deployment compares caches: ten tasks that stress a long or exact memory, and
 * one for the form of tool calls. Every run sends the same text, byte for byte.
 */

export interface FixedPrompt {
  readonly category: string;
  /** User turns in order; the server's answers come between them. */
  readonly turns: readonly string[];
  /** What a good last answer looks like, in words and as a pattern that it must match. */
  readonly expected: { readonly description: string; readonly pattern: RegExp };
}

const PLACES = ["harbour", "archive", "workshop", "orchard", "station", "library", "quarry", "mill"];
const ACTS = ["counted", "moved", "repaired", "labelled", "inspected", "painted", "weighed", "listed"];
const THINGS = ["crates", "lamps", "ledgers", "ropes", "barrels", "clocks", "maps", "tiles"];

/** Plain sentences of about 16 tokens each, all different, that answer none of the questions. */
export function filler(tokens: number): string {
  const lines: string[] = [];
  for (let i = 0; i < Math.ceil(tokens / 16); i++) {
    const place = PLACES[i % 8]!;
    const act = ACTS[Math.floor(i / 8) % 8]!;
    const thing = THINGS[(i * 5 + Math.floor(i / 64)) % 8]!;
    lines.push(`Entry ${i + 1}: at the ${place} the crew ${act} ${(i * 37) % 997} ${thing} before noon.`);
  }
  return lines.join("\n");
}

const FACTS = [
  "The bridge at Orlen is 412 metres long.",
  "Mira's telephone extension is 5518.",
  "The code word of the northern team is CORMORANT.",
  "The cellar holds 96 bottles.",
  "The ferry leaves at 06:40.",
  "Tomas keeps his notes in a green folder.",
  "The tower has 233 steps.",
  "The spare key hangs behind the map.",
  "The meeting room is called Saturn.",
  "The oldest oak was planted in 1871.",
];

const BUGGY = `def average_of_positives(values):
    total = 0
    count = 1
    for i in range(len(values) - 1):
        if values[i] < 0:
            total += values[i]
            count += 1
    return total / count`;

/** Whether every word occurs, in any order. */
const all = (...parts: string[]): RegExp => new RegExp(parts.map((p) => `(?=[\\s\\S]*${p})`).join(""), "i");

/** The fixed prompts that `check-server --prompts` sends. */
export const PROMPTS: readonly FixedPrompt[] = [
  {
    category: "long_context_summary",
    turns: [
      `${filler(10_000)}\nThe inspector of all sites is Helena Varga.\n${filler(10_000)}\n\nSummarise these notes in three sentences and name the inspector.`,
    ],
    expected: { description: "names Helena Varga", pattern: /Varga/ },
  },
  {
    category: "maths_5_steps",
    turns: [
      "A tank holds 240 litres. A quarter is drained, then 35 litres are added, then a third of what is there is used, then 10 litres are spilt, and the rest is split into 8 equal cans. How many litres are in a can? Show the five steps.",
    ],
    // 240 → 180 → 215 → 143.333… → 133.333… → 16.666…
    expected: { description: "16.67 litres (50/3)", pattern: /16[.,]6|16\s*2\/3|50\/3/ },
  },
  {
    category: "code_generation",
    turns: [
      "Write a Python function merge_intervals(intervals) that merges overlapping closed intervals and returns them sorted.",
    ],
    expected: { description: "defines the function", pattern: /def merge_intervals\(/ },
  },
  {
    category: "code_debugging",
    turns: [
      `This function should return the average of the positive values. Find its three bugs and give the corrected code.\n\n${BUGGY}`,
    ],
    expected: {
      description: "count = 0, the whole range, > 0",
      pattern: all("count\\s*=\\s*0", "> 0", "(range\\(len\\(values\\)\\)|for \\w+ in values|sum\\()"),
    },
  },
  {
    category: "early_context_recall",
    turns: [
      `Remember these facts:\n${FACTS.map((fact, i) => `${i + 1}. ${fact}`).join("\n")}\n\n${filler(8_000)}\n\nWhat does fact 3 say?`,
    ],
    expected: { description: "fact 3: CORMORANT", pattern: /cormorant/i },
  },
  {
    category: "constrained_story",
    turns: [
      "Write a story of about 150 words in which a lantern, a river and a clockmaker occur, in the past tense, ending with the word silence.",
    ],
    expected: {
      description: "lantern, river, clockmaker, silence",
      pattern: all("lantern", "river", "clockmaker", "silence"),
    },
  },
  {
    category: "ten_turn_qa",
    turns: [
      "My boat is called Petrel. What kind of animal is a petrel?",
      "Name one ocean where it lives.",
      "What is the largest bird of that order?",
      "How wide are its wings, roughly?",
      "What does it eat?",
      "How do such birds drink?",
      "Do they sleep in flight?",
      "How long do they live?",
      "Which threat to them is the greatest?",
      "What is my boat called?",
    ],
    expected: { description: "the boat of the first turn: Petrel", pattern: /petrel/i },
  },
  {
    category: "nested_json_schema",
    turns: [
      "Give one JSON object, nothing else, for an order with these fields: id, created, status, customer { id, name, email, address { street, city, zip, country } }, items [ { sku, title, quantity, price } ], shipping { method, cost }, total, currency, notes.",
    ],
    expected: {
      description: "a JSON object with nested address and items",
      pattern: all(
        '\\{\\s*"id"',
        '"customer"\\s*:\\s*\\{',
        '"address"\\s*:\\s*\\{',
        '"items"\\s*:\\s*\\[',
        '"currency"',
      ),
    },
  },
  {
    category: "translation_analysis",
    turns: [
      'Translate into German and then explain the idiom: "He let the cat out of the bag at the board meeting."',
    ],
    expected: {
      description: "the German idiom, and that a secret is told",
      pattern: all("Katze aus dem Sack", "(secret|Geheimnis|reveal|verr[aä]t)"),
    },
  },
  {
    category: "formatting_constraints",
    turns: [
      "List reasons to keep a diary. Exactly five bullet points; each starts with '- '; each ends with a full stop; no point has more than twelve words; the second contains a number; the fourth contains the word evening; no heading; after the list the single line END.",
    ],
    expected: {
      description: "five bullet points, the word evening, END",
      pattern: /^\s*(?:- [^\n]*\.\s*\n+){3}- [^\n]*evening[^\n]*\.\s*\n+- [^\n]*\.\s*\n+END\s*$/i,
    },
  },
  {
    category: "tool_call_format",
    turns: [
      'You may call read_file(path, offset=1, limit=500). Answer with one JSON object of the form {"name": …, "arguments": {…}} and nothing else: read the first 20 lines of /var/log/boot.log.',
    ],
    expected: {
      description: "a JSON object that names read_file with its arguments",
      pattern: all(
        '\\{\\s*"name"\\s*:\\s*"read_file"',
        '"arguments"\\s*:\\s*\\{',
        '"path"\\s*:\\s*"/var/log/boot\\.log"',
        '"limit"\\s*:\\s*20\\b',
      ),
    },
  },
];
