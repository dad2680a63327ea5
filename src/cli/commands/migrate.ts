/** `holdfast migrate`: brings the database's tables up to date. */

import type { Command } from "commander";
import type { Act, Cli } from "../cli.ts";
import { databaseExists } from "../database.ts";
import { describeDatabase } from "../database-url.ts";
import { inspect } from "../inspect.ts";

export function addMigrate(program: Command, act: Act): void {
  program
    .command("migrate")
    .summary("create or update the database's tables")
    .description(
      "Creates or updates the database's tables. Savers do so by themselves on first use; this is " +
        "for deployments where the application may not.",
    )
    .addHelpText("after", "\nExample:\n  holdfast migrate --db postgres://owner@db/agents")
    .action(() => act(migrate));
}

async function migrate(cli: Cli): Promise<void> {
  const { out } = cli;
  const { database } = await cli.database();
  const before = (await databaseExists(database)) ? (await inspect(database)).version : 0;
  await (await cli.saver("make")).setup();
  const { version } = await inspect(database);
  const where = describeDatabase(database);
  out.one({ database: where, before, version }, () => [
    before === version
      ? `${where}: schema version ${version}, up to date`
      : `${where}: schema version ${before} → ${version}`,
  ]);
}
