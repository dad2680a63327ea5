/**
 * Who may import whom, as one table, and a function that holds sources against it.
 *
 * Imports are found by their shape in the text, which `prettier --check` guarantees: a static import
 * starts a line and its source is in double quotes. Types count like values: an import that only
 * the compiler sees still ties two parts together.
 */

import { posix } from "node:path";

/** Paths from the repository's root, with `/`, to the text of each file. */
export type Sources = ReadonlyMap<string, string>;

/** The parts of the library, and what each may import of the others. Finest path first. */
const PARTS: ReadonlyArray<{ part: string; path: RegExp; imports: readonly string[] }> = [
  {
    part: "ground",
    path: /^src\/(errors|clock|ids|abort|events|canonical|process)\.ts$/,
    imports: [],
  },
  {
    part: "store",
    path: /^src\/((step|effect|approval|run|event|run-event|schedule|pulse)-)?store\.ts$/,
    imports: ["ground"],
  },
  { part: "policy", path: /^src\/policy\//, imports: ["ground"] },
  {
    part: "context",
    path: /^src\/(state|context|forking|turns)\.ts$/,
    imports: ["ground", "store", "policy"],
  },
  // Models and tools are steps, and their calls are kept in the ledger of effects.
  {
    part: "agent steps",
    path: /^src\/steps\/(model|tool)(\/|\.ts$)/,
    imports: ["ground", "store", "policy", "context", "steps", "effects"],
  },
  ...["steps", "effects", "history", "observe"].map((part) => ({
    part,
    path: new RegExp(`^src/${part}/`),
    imports: ["ground", "store", "policy", "context"],
  })),
  {
    part: "run",
    path: /^src\/run\//,
    imports: ["ground", "store", "policy", "context", "steps", "effects", "history"],
  },
  { part: "engine", path: /^src\/engine\//, imports: ["ground", "store", "context", "run"] },
  {
    part: "worker",
    path: /^src\/worker\//,
    imports: ["ground", "store", "policy", "context", "run", "engine"],
  },
  {
    part: "runtime",
    path: /^src\/runtime\//,
    imports: [
      ...["ground", "store", "policy", "context", "steps", "effects", "history"],
      ...["run", "engine", "worker"],
    ],
  },
  {
    part: "server",
    path: /^src\/server\//,
    imports: ["ground", "store", "history", "run", "engine", "worker", "runtime"],
  },
  { part: "testing", path: /^src\/testing\//, imports: ["ground", "store"] },
  {
    part: "index",
    path: /^src\/index\.ts$/,
    imports: [
      ...["ground", "store", "policy", "context", "steps", "agent steps", "effects", "history"],
      ...["observe", "run", "engine", "worker", "runtime"],
    ],
  },
  {
    part: "cli",
    path: /^src\/cli\//,
    imports: [
      ...["index", "ground", "store", "policy", "context", "steps", "effects", "history"],
      ...[
        "observe",
        "run",
        "engine",
        "worker",
        "runtime",
        "server",
        "sqlite",
        "postgres",
        "savers",
      ],
    ],
  },
  { part: "sqlite", path: /^checkpointers\/sqlite\//, imports: ["ground", "store", "savers"] },
  { part: "postgres", path: /^checkpointers\/postgres\//, imports: ["ground", "store", "savers"] },
  { part: "savers", path: /^checkpointers\//, imports: ["ground", "store"] },
  // As a user would: by the package's name, never by a path into it.
  { part: "graphs", path: /^graphs\//, imports: [] },
];

/** Folders whose files may import anything: they prove or build the rest. */
const FREE = /^(test|bench|scripts)\/|^[^/]+$/;

/** Packages and features with one home. */
const HOMES: ReadonlyArray<{ what: RegExp; name: string; home: RegExp }> = [
  {
    what: /^pg(\/|$)/,
    name: "pg",
    home: /^checkpointers\/postgres\//,
  },
  { what: /^pg-boss$/, name: "pg-boss", home: /^src\/engine\/pg-boss\.ts$/ },
  // The crash matrix kills at commits, so it has to know the driver.
  {
    what: /^node:sqlite$/,
    name: "node:sqlite",
    home: /^(checkpointers\/sqlite\/|src\/testing\/crash\/watch-sqlite\.ts$)/,
  },
  { what: /^(commander|jiti)(\/|$)/, name: "commander and jiti", home: /^src\/cli\// },
  { what: /^croner$/, name: "croner", home: /^src\/runtime\/cron\.ts$/ },
  { what: /^hono(\/|$)/, name: "hono", home: /^src\/server\// },
  { what: /^@opentelemetry\//, name: "OpenTelemetry", home: /^src\/observe\// },
  { what: /^node:process$/, name: "process", home: /^src\/(process\.ts$|cli\/|testing\/)/ },
];

const DOORS: ReadonlyArray<{ what: RegExp; name: string; home: RegExp }> = [
  {
    what: /\bprocess\.(?!ts")\w/,
    name: "process",
    home: /^src\/(process\.ts$|cli\/|testing\/)/,
  },
  {
    what: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    name: "the time",
    home: /^src\/(clock\.ts$|cli\/|testing\/)/,
  },
  {
    what: /\bMath\.random\(|\brandom(UUID|Bytes|Int)\(|\bgetRandomValues\(/,
    name: "randomness",
    home: /^src\/(ids\.ts$|cli\/|testing\/)/,
  },
];

const MAX_LINES = 600;

/** One sentence for each place where `sources` leave the architecture. */
export function violations(sources: Sources, dependencies: readonly string[]): string[] {
  return [
    ...[...sources].flatMap(([file, source]) => [
      ...forbiddenImports(file, source, dependencies),
      ...closedDoors(file, source),
      ...tooLong(file, source),
    ]),
    ...indexHoldsLogic(sources),
    ...unlikeTwins([...sources.keys()]),
    ...cycles(sources),
  ];
}

function forbiddenImports(file: string, source: string, dependencies: readonly string[]): string[] {
  if (FREE.test(file)) return [];
  const from = partOf(file);
  if (from === undefined) return [`${file} belongs to no part: add it to PARTS.`];
  return importsOf(source).flatMap((specifier) => {
    if (!specifier.startsWith(".")) return forbiddenPackage(file, from, specifier, dependencies);
    const target = resolve(file, specifier);
    const to = partOf(target);
    if (to?.part === from.part || (to !== undefined && from.imports.includes(to.part))) return [];
    return [`${file} (${from.part}) must not import ${target} (${to?.part ?? "no part of it"}).`];
  });
}

function forbiddenPackage(
  file: string,
  from: { part: string },
  specifier: string,
  dependencies: readonly string[],
): string[] {
  const problems: string[] = [];
  // The graphs are a user's code: they choose their packages themselves.
  if (from.part === "graphs") return problems;
  const home = HOMES.find(({ what }) => what.test(specifier));
  if (home !== undefined && !home.home.test(file)) {
    problems.push(`${file} must not import ${specifier}: ${home.name} has its own place.`);
  }
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  if (!name.startsWith("node:") && !dependencies.includes(name)) {
    problems.push(`${file} imports ${name}, which package.json doesn't promise to users.`);
  }
  return problems;
}

function closedDoors(file: string, source: string): string[] {
  if (FREE.test(file) || file.startsWith("graphs/")) return [];
  const code = withoutComments(source);
  return DOORS.filter(({ what, home }) => what.test(code) && !home.test(file)).map(
    ({ name }) => `${file} must not reach for ${name} itself: it has one door.`,
  );
}

function tooLong(file: string, source: string): string[] {
  const lines = source.split("\n").length - 1;
  return lines > MAX_LINES ? [`${file} has ${lines} lines: it is more than one idea.`] : [];
}

function indexHoldsLogic(sources: Sources): string[] {
  const code = withoutComments(sources.get("src/index.ts") ?? "");
  const rest = code.replaceAll(/^export (type )?\{[^}]*\} from "[^"]+";$/gm, "").trim();
  return rest === "" ? [] : [`src/index.ts must only name its exports, not: ${rest}`];
}

/** A reader who knows one dialect finds the same thing under the same name in the other. */
function unlikeTwins(files: readonly string[]): string[] {
  const named = (dialect: string): string[] =>
    files
      .filter((file) => file.startsWith(`checkpointers/${dialect}/`))
      .map((file) => file.slice(`checkpointers/${dialect}/`.length));
  const [sqlite, postgres] = [named("sqlite"), named("postgres")];
  const lonely = (mine: string[], other: string[], dialect: string): string[] =>
    mine
      .filter((file) => !other.includes(file))
      .map((file) => `checkpointers/${dialect}/${file} has no twin in the other dialect.`);
  return [...lonely(sqlite, postgres, "sqlite"), ...lonely(postgres, sqlite, "postgres")];
}

function cycles(sources: Sources): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push(`Import cycle: ${[...path.slice(path.indexOf(file)), file].join(" -> ")}`);
      return;
    }
    if (done.has(file)) return;
    for (const specifier of importsOf(sources.get(file) ?? "")) {
      if (specifier.startsWith(".")) visit(resolve(file, specifier), [...path, file]);
    }
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return found;
}

function partOf(file: string): (typeof PARTS)[number] | undefined {
  return PARTS.find(({ path }) => path.test(file));
}

function resolve(file: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file), specifier));
}

/** What a source names after `from`, in a bare `import`, in `import(...)` and in `require(...)`. */
export function importsOf(source: string): string[] {
  const code = withoutComments(source);
  return [
    ...code.matchAll(/^(?:import|export)\s(?:[^"';]*?\sfrom\s)?"([^"]+)"/gm),
    ...code.matchAll(/\bimport\(\s*"([^"]+)"/g),
    ...code.matchAll(/\b(?:createRequire\(import\.meta\.url\)|require)\(\s*"([^"]+)"/g),
  ].map((match) => match[1] ?? "");
}

/** Whole-line and end-of-line comments; what looks like one inside a string goes with them. */
function withoutComments(source: string): string {
  return source.replaceAll(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}
