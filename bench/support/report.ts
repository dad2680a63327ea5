/** The results as Markdown, for the terminal and the file alike. */

import { meets } from "./claim.ts";
import type { Row, Target } from "./claim.ts";
import { ratio } from "./format.ts";
import type { Dialect } from "./place.ts";

export interface Report {
  readonly heading: readonly string[];
  readonly machine: readonly string[];
  readonly rows: Record<Dialect, readonly Row[]>;
  readonly failures: readonly string[];
}

export function markdown(report: Report): string {
  const claims = [
    ...new Set([...report.rows.sqlite, ...report.rows.postgres].map((row) => row.claim)),
  ];
  const of = (dialect: Dialect, claim: string) =>
    report.rows[dialect].find((row) => row.claim === claim);
  const table = claims.map((claim) => {
    const sqlite = of("sqlite", claim);
    const postgres = of("postgres", claim);
    const cells = [
      claim,
      targetCell(sqlite?.target),
      cell(sqlite?.target, sqlite?.measured),
      cell(sqlite?.target, sqlite?.full),
      targetCell(postgres?.target),
      cell(postgres?.target, postgres?.measured),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  const figures = claims.flatMap((claim) => {
    const lines = [`- **${claim}**`];
    const sqlite = of("sqlite", claim);
    const postgres = of("postgres", claim);
    if (sqlite !== undefined) lines.push(`  - SQLite: ${sqlite.figures}`);
    if (postgres !== undefined) lines.push(`  - Postgres: ${postgres.figures}`);
    return lines;
  });
  const failures =
    report.failures.length === 0
      ? []
      : ["## Not measured", "", ...report.failures.map((line) => `- ${line}`), ""];
  return [
    "# Benchmark results",
    "",
    ...report.heading,
    "",
    "| Claim | SQLite target | SQLite | SQLite, FULL | Postgres target | Postgres |",
    "| --- | --- | --- | --- | --- | --- |",
    ...table,
    "",
    "**pass** reaches its target, **SHORT** does not.",
    "",
    ...failures,
    "## The figures behind",
    "",
    ...figures,
    "",
    "## Machine and settings",
    "",
    ...report.machine.map((line) => `- ${line}`),
    "",
  ].join("\n");
}

function targetCell(target: Target | undefined): string {
  if (target === undefined) return "";
  return `${target.bound === "at most" ? "<=" : ">="} ${target.value}${unitOf(target)}`;
}

function unitOf(target: Target): string {
  return target.unit === "%" ? " %" : target.unit;
}

function cell(target: Target | undefined, measured: number | undefined): string {
  if (measured === undefined) return "";
  if (target === undefined) return ratio(measured, "");
  return `${ratio(measured, target.unit)} ${meets(target, measured) ? "pass" : "**SHORT**"}`;
}
