import { events } from "../events.ts";
import { isForeign } from "../run/foreign.ts";

/**
 * Does one thing after the other, so that what fails keeps none of the others from being done. It is told
 * by `worker.troubled`.
 * @throws the first error that says that the database is gone, or the like; once all have had their turn
 */
export async function eachApart<Item>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const foreign: unknown[] = [];
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (isForeign(error)) foreign.push(error);
      else events.emit("worker.troubled", { error });
    }
  }
  if (foreign.length > 0) throw foreign[0];
}
