/** Pieces that one side hands over as they come, and another takes when it is ready. */

export class ChunkQueue<Chunk> implements AsyncIterable<Chunk> {
  readonly #chunks: Chunk[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;

  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  /** No more come once this settles, however it does. */
  endWith(work: Promise<unknown>): void {
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    work.then(end, end);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
