/** Arbitrary errors: of all of JavaScript's classes, with causes and fields of their own. */

import fc from "fast-check";

const CLASSES = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];

/** Fields that libraries put on their errors. */
const field = fc.constantFrom("code", "status", "errors", "details", "$", "constructor", "cause2");

export function errorsOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<Error> {
  return fc
    .record({
      kind: fc.constantFrom("aggregate" as const, ...CLASSES),
      message: fc.string(),
      cause: fc.option(value, { nil: undefined }),
      errors: fc.array(value, { maxLength: 2 }),
      fields: fc.dictionary(field, value, { maxKeys: 2, noNullPrototype: true }),
      name: fc.option(fc.constantFrom("AbortError", "MyError", "AggregateError"), {
        nil: undefined,
      }),
    })
    .map(({ kind, message, cause, errors, fields, name }) => {
      const options = cause === undefined ? undefined : { cause };
      const error =
        typeof kind === "string"
          ? new AggregateError(errors, message, options)
          : new kind(message, options);
      Object.defineProperty(error, "stack", { value: `${message}\n    at elsewhere` });
      // An AggregateError's own `errors` is not enumerable, and stays so.
      Object.assign(error, fields);
      if (name !== undefined) {
        Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
      }
      return error;
    });
}
