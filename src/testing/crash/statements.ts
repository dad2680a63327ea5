/** Which SQL is a durable operation: what a database keeps once it answered. */

const WRITE =
  /\b(insert|update|delete|replace|merge|create|alter|drop|truncate)\b|^\s*(call|do|copy|notify)\b/;
const BEGIN = /^\s*(begin|start\s+transaction)\b/;
const COMMIT = /^\s*(commit|end|release)\b/;
const OVER = /^\s*(commit|end|rollback(?!\s+to\b)|abort)\b/;
/** What may hold those words and means nothing by them: strings, names, comments, locks. */
const NOT_CODE =
  /'[^']*'|"[^"]*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|\bfor\s+(no\s+key\s+)?update\b/g;

export interface Reading {
  /** Answered, it is kept, whatever becomes of us. */
  isDurable: boolean;
  /** Whether a transaction is open afterwards. */
  inTransaction: boolean;
}

/** Reads a statement, or several in one text, sent where a transaction is open or not. */
export function readStatement(sql: string, inTransaction: boolean): Reading {
  const reading: Reading = { isDurable: false, inTransaction };
  for (const statement of sql.toLowerCase().replaceAll(NOT_CODE, " ").split(";")) {
    if (statement.trim() === "") continue;
    const { isDurable, inTransaction: isOpen } = readOne(statement, reading.inTransaction);
    reading.isDurable ||= isDurable;
    reading.inTransaction = isOpen;
  }
  return reading;
}

function readOne(text: string, inTransaction: boolean): Reading {
  if (!inTransaction) return { isDurable: WRITE.test(text), inTransaction: BEGIN.test(text) };
  return { isDurable: COMMIT.test(text), inTransaction: !OVER.test(text) };
}

/** What a statement writes to (`INSERT INTO runs, UPDATE threads`), or else its beginning. */
export function nameOf(sql: string): string {
  const writes = [...sql.replaceAll(NO_TARGET, " ").matchAll(TARGET)].map(
    ([, verb = "", target = ""]) =>
      `${verb.toUpperCase().replaceAll(/\s+/g, " ")} ${target.replaceAll('"', "")}`,
  );
  const name = writes.length > 0 ? [...new Set(writes)].join(", ") : sql;
  const text = name.replaceAll(/\s+/g, " ").trim();
  return text.length <= MAX_NAME ? text : `${text.slice(0, MAX_NAME - 1)}…`;
}

const MAX_NAME = 120;
const TARGET = /\b(insert\s+into|update|delete\s+from)\s+((?:\w+|"[^"]+")(?:\.(?:\w+|"[^"]+"))?)/gi;
const NO_TARGET = /\b(do|key|for)\s+update\b|'[^']*'/gi;
