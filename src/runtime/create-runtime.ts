import { Runtime } from "./runtime.ts";
import type { RuntimeOptions } from "./types.ts";

/**
 * Runs graphs durably, in this process or in any number of them: what `start()` accepts is kept in the
 * saver's database, and done by workers under leases.
 *
 * @throws {NotDurableError} the saver is not one of holdfast's
 * @throws {InvalidInputError} a graph was compiled with another saver
 * @example
 * const runtime = createRuntime({ saver, graphs: { refund } });
 * const run = await runtime.start("refund", { order }, { threadId: "order-42" });
 * const { status, values } = await runtime.result(run.runId);
 * await runtime.close();
 */
export function createRuntime(options: RuntimeOptions): Runtime {
  return new Runtime(options);
}
