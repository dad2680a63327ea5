/** Types of the user's that the saver may store: what is not on the list is refused. */

/**
 * How to keep instances of a class, or any other value that is not plain data.
 *
 * @example
 * const url = { name: "url", is: (v) => v instanceof URL, encode: (u) => u.href, decode: (s) => new URL(s) };
 * SqliteSaver.fromConnString("agents.db", { types: [url] });
 */
// oxlint-disable-next-line typescript/no-explicit-any -- each type has its own value and form
export interface StoredType<Value = any, Form = any> {
  /** Written beside each value; must stay the same as long as such values are stored. */
  name: string;
  /** True for the values that this type stores. */
  is(value: unknown): boolean;
  /** A value that can be stored: plain data, or values of other types on the list. */
  encode(value: Value): Form;
  /** The value again, from what `encode` gave. */
  decode(form: Form): Value;
}
