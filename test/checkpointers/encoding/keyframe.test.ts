import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  extend,
  keyframe,
  type Chain,
  type Weight,
} from "../../../checkpointers/encoding/keyframe.ts";

/** A version's delta on the one before, and the whole. */
interface Step {
  delta: Weight;
  whole: Weight;
}

const weight = (most: number): fc.Arbitrary<Weight> =>
  fc
    .record({ text: fc.nat(most), payloads: fc.nat(most * 4) })
    .map(({ text, payloads }) => ({ text, read: text + payloads }));

const step: fc.Arbitrary<Step> = fc.record({ delta: weight(2_000), whole: weight(20_000) });

function walk(
  steps: readonly Step[],
  each: (chain: Chain, isKeyframe: boolean, i: number) => void,
) {
  let chain: Chain | undefined;
  for (const [i, { delta, whole }] of steps.entries()) {
    const longer = chain && extend(chain, delta);
    chain = longer ?? keyframe(whole);
    each(chain, longer === undefined, i);
  }
}

describe("a chain", () => {
  it("never takes more than about twice as long to read as its keyframe", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        walk(steps, ({ keyframe, deltas, length }) => {
          expect(deltas.read).toBeLessThanOrEqual(keyframe.read);
          expect(length).toBeLessThanOrEqual(2_000);
        });
      }),
    );
  });

  it("adds up what it is made of, and something for each row", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let sum: Weight = { text: 0, read: 0 };
        let length = 0;
        walk(steps, (chain, isKeyframe, i) => {
          const { delta, whole } = steps[i] as Step;
          if (isKeyframe) expect(chain.keyframe).toEqual(whole);
          sum = isKeyframe
            ? { text: 0, read: 0 }
            : { text: sum.text + delta.text, read: sum.read + delta.read };
          length = isKeyframe ? 1 : length + 1;
          expect(chain.length).toBe(length);
          expect(chain.deltas.read).toBeGreaterThanOrEqual(sum.read);
          expect(chain.deltas.text).toBeGreaterThanOrEqual(sum.text);
          expect(chain.deltas.read - sum.read).toBeLessThanOrEqual(64 * (length - 1));
        });
      }),
    );
  });

  it("is bounded in length also where deltas weigh nothing", () => {
    let chain = keyframe({ text: 1e9, read: 1e9 });
    for (;;) {
      const longer = extend(chain, { text: 1, read: 1 });
      if (longer === undefined) break;
      chain = longer;
    }
    expect(chain.length).toBe(2_000);
  });

  it("is not worth it for small values", () => {
    expect(extend(keyframe({ text: 100, read: 100 }), { text: 1, read: 1 })).toBeUndefined();
  });

  it("is worth it for a small text with a large payload: a document that grows", () => {
    expect(extend(keyframe({ text: 40, read: 50_000 }), { text: 200, read: 200 })).toBeDefined();
  });

  it("stores a value that grows at a constant cost for what is new", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 3_000 }), { minLength: 50, maxLength: 400 }),
        (sizes) => {
          // Each version appends so much; a delta has some syntax around it.
          let size = 0;
          let stored = 0;
          const steps = sizes.map((added): Step => {
            size += added;
            const delta = added + 20;
            return { delta: { text: delta, read: delta }, whole: { text: size, read: size } };
          });
          walk(steps, (_, isKeyframe, i) => {
            const { delta, whole } = steps[i] as Step;
            stored += isKeyframe ? whole.text : delta.text;
          });
          expect(stored).toBeLessThan(4.5 * size);
        },
      ),
    );
  });
});
