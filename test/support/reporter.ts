/**
 * Ends a run with one plain line, `N passed, N failed`, that people and scripts can read; with option
 * `promises` it also holds the README to its word: after a full run, each test that its table of
 * promises names has passed.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import { brokenPromises, promisesIn } from "./promises.ts";

export default class SummaryReporter implements Reporter {
  readonly #options: { promises?: boolean };
  #vitest: Vitest | undefined;

  constructor(options: { promises?: boolean } = {}) {
    this.#options = options;
  }

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  async onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
  ): Promise<void> {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string): number =>
      tests.filter((test) => test.result().state === state).length;

    const isChecked = this.#options.promises === true && (await this.#ranEverything(modules));
    const broken = isChecked ? this.#checkPromises(modules) : [];
    for (const problem of broken) console.log(`README: ${problem}`);

    // What failed outside of any test counts as well: a file that didn't load, a hook, a stray
    // rejection, a broken promise of the README.
    const elsewhere = modules.flatMap((module) => [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
    ]);
    const failed = count("failed") + elsewhere.length + unhandledErrors.length + broken.length;
    const unfinished = count("pending");
    if (failed > 0 || unfinished > 0) process.exitCode = 1;

    const parts = [`${count("passed")} passed`, `${failed} failed`];
    if (count("skipped") > 0) parts.push(`${count("skipped")} skipped`);
    if (unfinished > 0) parts.push(`${unfinished} unfinished`);
    console.log(`\n${parts.join(", ")}`);
  }

  /** No filter was given, of files or of names, so that every named test must have run. */
  async #ranEverything(modules: readonly TestModule[]): Promise<boolean> {
    if (this.#vitest === undefined || this.#vitest.config.testNamePattern !== undefined) {
      return false;
    }
    const ran = new Set(modules.map((module) => module.moduleId));
    const all = await this.#vitest.globTestSpecifications();
    return all.every((specification) => ran.has(specification.moduleId));
  }

  #checkPromises(modules: readonly TestModule[]): string[] {
    const root = this.#vitest?.config.root ?? process.cwd();
    const passed = new Set(
      modules.flatMap((module) =>
        [...module.children.allTests()]
          .filter((test) => test.result().state === "passed")
          .map((test) => `${module.relativeModuleId} > ${test.fullName}`),
      ),
    );
    return brokenPromises(promisesIn(readFileSync(join(root, "README.md"), "utf8")), passed);
  }
}
