/** As far as the tests use it; the package brings no types. */
declare module "better-sqlite3" {
  export default class Database {
    constructor(path: string);
    readonly open: boolean;
    readonly inTransaction: boolean;
    exec(sql: string): this;
    prepare(sql: string): {
      run(...parameters: unknown[]): { changes: number };
      get(...parameters: unknown[]): unknown;
      all(...parameters: unknown[]): unknown[];
    };
    close(): this;
  }
}
