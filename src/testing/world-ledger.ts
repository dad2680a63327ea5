/**
 * What the world has done, in the order in which it did it: a list that is only appended to, and kept
 * in a file where one is given, so that a service that is started again goes on where it was.
 */

import { appendFileSync, existsSync, readFileSync } from "node:fs";

/** What the world can be asked to do, and the letters that its ids begin with. */
export const OPERATIONS = {
  charge: "ch",
  refund: "re",
  label: "lb",
  "void-label": "vl",
  reserve: "rs",
  release: "rl",
  email: "em",
  flight: "fl",
  "cancel-flight": "cf",
  hotel: "ho",
  "cancel-hotel": "cho",
} as const;

export type OperationKind = keyof typeof OPERATIONS;

/** What takes something back, by the detail that names it. */
export const UNDOES: Partial<Record<OperationKind, OperationKind>> = {
  "void-label": "label",
  release: "reserve",
  "cancel-flight": "flight",
  "cancel-hotel": "hotel",
};

/** JSON as the caller sent it. */
export type Details = Readonly<Record<string, unknown>>;

/** One thing done in the world. */
export interface Performed {
  /** `re_3`: the third refund. */
  id: string;
  kind: OperationKind;
  details: Details;
  /** The caller's `Idempotency-Key`, whether it was honoured or not. */
  key: string | undefined;
}

export class WorldLedger {
  readonly #file: string | undefined;
  readonly #all: Performed[] = [];

  /** @throws the file is not one of ours */
  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n"))
      if (line !== "") this.#all.push(JSON.parse(line) as Performed);
  }

  get all(): readonly Performed[] {
    return this.#all;
  }

  perform(kind: OperationKind, details: Details, key: string | undefined): Performed {
    const place = this.of(kind).length + 1;
    const performed: Performed = { id: `${OPERATIONS[kind]}_${place}`, kind, details, key };
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(performed)}\n`);
    this.#all.push(performed);
    return performed;
  }

  of(kind: OperationKind): Performed[] {
    return this.#all.filter((performed) => performed.kind === kind);
  }

  find(id: string): Performed | undefined {
    return this.#all.find((performed) => performed.id === id);
  }

  byKey(key: string): Performed | undefined {
    return this.#all.find((performed) => performed.key === key);
  }
}
