/** The one door to time. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Waits so many milliseconds; rejects with the signal's reason when it aborts. */
  sleep(duration: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (duration, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, duration);
      signal?.addEventListener("abort", abort, { once: true });
    }),
};
