/**
 * Loaded into each process of a crash matrix before its program (`node --import`): counts what the
 * program does durably, and kills it there.
 *
 * A durable operation is what somebody else keeps: a COMMIT or a write outside of a transaction, by
 * `node:sqlite` or `pg`, and an HTTP request, by `fetch`, undici or `node:http`. The
 * program knows nothing of this.
 */

import process from "node:process";
import { isMainThread } from "node:worker_threads";
import { ORDERS_VARIABLE, type Orders } from "./orders.ts";
import { Operations } from "./operations.ts";
import { watchHttp } from "./watch-http.ts";
import { watchPostgres } from "./watch-postgres.ts";
import { watchSqlite } from "./watch-sqlite.ts";

const orders = process.env[ORDERS_VARIABLE];
if (orders !== undefined && isMainThread) {
  const operations = new Operations(JSON.parse(orders) as Orders);
  watchHttp(operations);
  watchPostgres(operations);
  watchSqlite(operations);
}
