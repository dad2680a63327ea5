/**
 * `npm run demo`: the research agent on real documents, killed with SIGKILL in the middle, resumed by
 * its thread's id in a new process, reviewed, published, inspected and forked. Then a fleet: many runs at
 * once, three workers, of which one is killed and one stands still for a while.
 *
 * Exits with 0 when every claim held, 1 when one did not, 2 for wrong options, 130 after Ctrl-C. It
 * leaves no process behind, and no file unless told to.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fakeOpenAI } from "holdfast/testing";
import { chooseDocuments } from "./demo/documents.ts";
import { HELP, readOptions, UsageError, type DemoOptions } from "./demo/options.ts";
import { Fleet } from "./demo/fleet.ts";
import { killAll } from "./demo/processes.ts";
import { chapter, note, say } from "./demo/screen.ts";
import { Story } from "./demo/story.ts";

/** Of the loopback model, in milliseconds: long enough that a kill meets calls in flight. */
const LATENCY = 100;

async function main(options: DemoOptions): Promise<void> {
  const { seed, topic, docs, keep } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "holdfast-demo-"));
  if (!keep) cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  cleanup.defer(killAll);
  const stop = onInterrupt(() => cleanup.disposeAsync());
  cleanup.defer(stop);

  const environment = { ...process.env };
  if (!environment["OPENAI_API_KEY"]) {
    // In this process, so that it outlives the workers that are killed.
    const server = cleanup.use(await fakeOpenAI({ latency: LATENCY }));
    environment["OPENAI_API_KEY"] = "loopback";
    environment["OPENAI_BASE_URL"] = server.baseURL;
  }
  say(`holdfast demo: a research agent that survives kill -9 (seed ${seed})\n`);
  note(
    process.env["OPENAI_API_KEY"]
      ? "Model: a real one, by OPENAI_API_KEY"
      : "Model: a loopback server that answers from the documents (OPENAI_API_KEY gives a real one)",
  );
  note(`State: SQLite in ${folder}`);
  const documents = await chooseDocuments(docs, folder);
  await new Story({ seed, topic, documents, folder, environment }).tell();
  await new Fleet({ seed, folder, environment }).tell();

  chapter(7, "Try next");
  note('npm run demo -- --seed 7 --topic "time travel"    another kill, another report');
  note("npm run demo -- --docs ~/notes --keep             your documents; keep what it made");
  note("OPENAI_API_KEY=sk-... npm run demo                a real model");
  if (keep) {
    note(`\nKept in ${folder}. Look around in it:`);
    note(
      `npm run holdfast -- threads history demo-${seed} --db sqlite:${join(folder, "agents.db")}`,
    );
  }
}

let interrupted = false;

/** Runs the cleanup on Ctrl-C or SIGTERM and exits; the function returned takes it back. */
function onInterrupt(cleanup: () => Promise<void>): () => void {
  const interrupt = () => {
    interrupted = true;
    void cleanup().finally(() => process.exit(130));
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  return () => process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") say(HELP.trim());
  else await main(options);
} catch (error) {
  // The workers that Ctrl-C ended are no news.
  if (!interrupted) complain(error);
}

function complain(error: unknown): void {
  const usage = error instanceof UsageError;
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  if (usage) console.error("Try: npm run demo -- --help");
  process.exitCode = usage ? 2 : 1;
}
