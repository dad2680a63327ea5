/**
 * A promise whose failure never counts as unhandled.
 *
 * LangGraph keeps the promises of `putWrites` and looks at them at the end of a superstep. One that
 * fails while a sibling task is still running would be an unhandled rejection until then, which ends
 * the process. Whoever awaits it still gets the error.
 */
export class Handled<T> extends Promise<T> {
  static of<T>(promise: Promise<T>): Handled<T> {
    const handled = new Handled<T>((resolve, reject) => {
      promise.then(resolve, reject);
    });
    void Promise.prototype.then.call(handled, undefined, () => undefined);
    return handled;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a promise's own method
  override then<A = T, B = never>(
    onResolved?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const next = super.then(onResolved, onRejected);
    void Promise.prototype.then.call(next, undefined, () => undefined);
    return next;
  }
}
