/** `holdfast graph`: a graph's nodes, edges and gates. */

import type { Graph as Drawing } from "@langchain/core/runnables/graph";
import type { Command } from "commander";
import { InvalidInputError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { drawingLines, inOrder } from "../drawing.ts";
import { loadGraph } from "../graph.ts";
import type { Graph } from "../graph.ts";

interface Options {
  mermaid?: boolean;
  ascii?: boolean;
  xray?: boolean;
}

export function addGraph(program: Command, act: Act): void {
  program
    .command("graph")
    .summary("show a graph's nodes, edges and gates")
    .description("Shows a graph's nodes, edges and gates.")
    .argument("[graph]", "its name in langgraph.json, or path:export")
    .option("--ascii", "as text (default)")
    .option("--mermaid", "as a Mermaid diagram, for Markdown")
    .option("--xray", "with the insides of subgraphs")
    .addHelpText(
      "after",
      `
Examples:
  holdfast graph research
  holdfast graph ./agent.ts:graph --mermaid > graph.mmd`,
    )
    .action((graph: string | undefined, options: Options) =>
      act((cli) => show(cli, graph, options)),
    );
}

async function show(cli: Cli, asked: string | undefined, options: Options): Promise<void> {
  const { out } = cli;
  if (options.mermaid === true && options.ascii === true) {
    throw new InvalidInputError("--mermaid or --ascii: one of the two.");
  }
  const source = await cli.findGraph(asked);
  const graph = await loadGraph(source, {});
  const drawing = await graph.getGraphAsync({ xray: options.xray === true });
  if (options.mermaid === true) {
    const mermaid = drawing.drawMermaid();
    out.one({ graph: source.name, mermaid }, () => [mermaid.trimEnd()]);
    return;
  }
  out.one(toJson(source.name, graph, drawing), () => drawingLines(drawing, graph, out.paint));
}

function toJson(name: string, graph: Graph, drawing: Drawing): Record<string, unknown> {
  return {
    graph: name,
    nodes: inOrder(drawing),
    edges: drawing.edges.map(({ source, target, conditional, data }) => ({
      source,
      target,
      conditional: conditional === true,
      ...(data === undefined ? {} : { label: data }),
    })),
    interruptBefore: graph.interruptBefore ?? [],
    interruptAfter: graph.interruptAfter ?? [],
  };
}
