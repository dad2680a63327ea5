/**
 * What a return does to the world, each at module level: by its name any process finds again what a
 * dead one has left half done.
 */

import { effect } from "holdfast";
import { ask, find, lookUp } from "../environment/world.ts";

/** The carrier tells what it did under a key; a label that nobody uses is voided. */
export const createLabel = effect({
  name: "returns.label",
  run: (label: { order: string; sku: string; quantity: number }, context) =>
    ask("label", label, context),
  reconcile: async (label, { effectKey, signal }) => {
    const result = await lookUp<typeof label>(effectKey, { signal });
    return result === undefined ? { done: false } : { done: true, result };
  },
  undo: async (_, made, context) => {
    if (made !== undefined) await ask("void-label", { label: made.id }, context);
  },
});

/** The bank knows nothing of our keys after a day, but can be asked for an order's refunds. */
export const refundPayment = effect({
  name: "returns.refund",
  run: (refund: { order: string; amount: number }, context) => ask("refund", refund, context),
  reconcile: async (refund, { signal }) => {
    const [result] = await find<typeof refund>("refund", { order: refund.order }, { signal });
    return result === undefined ? { done: false } : { done: true, result };
  },
});

/** The mailer drops what it gets twice under one key. */
export const sendEmail = effect({
  name: "returns.email",
  run: (mail: { order: string; to: string; text: string }, context) => ask("email", mail, context),
  onUnknown: "repeat",
});
