/**
 * The models, from the environment, and the only place of the graphs that reads it: with `OPENAI_API_KEY`
 * (and `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real provider, without one a loopback server that answers
 * from the documents in the prompt, so that everything runs on any machine.
 */

import process from "node:process";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { fakeOpenAI } from "holdfast/testing";

let shared: Promise<ChatOpenAI> | undefined;

/** One model for the process, made on first use. */
export function modelFromEnvironment(): Promise<ChatOpenAI> {
  return (shared ??= create());
}

async function create(): Promise<ChatOpenAI> {
  return new ChatOpenAI({
    ...(await provider()),
    model: process.env["OPENAI_MODEL"] ?? "gpt-4o-mini",
    timeout: 90_000,
  });
}

/** The large embedding model, and the small one for when that fails. */
export async function embeddingsFromEnvironment() {
  const fields = { ...(await provider()), dimensions: 256, timeout: 30_000 };
  const named = (name: string) => ({
    name,
    embeddings: new OpenAIEmbeddings({ ...fields, model: name }),
  });
  return { first: named("text-embedding-3-large"), fallback: named("text-embedding-3-small") };
}

let loopback: Promise<{ baseURL: string }> | undefined;

async function provider() {
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: given } = process.env;
  const baseURL = key ? given : (await (loopback ??= fakeOpenAI({ background: true }))).baseURL;
  return {
    apiKey: key ?? "none needed",
    // The steps try again, and nothing is to be tried twice over.
    maxRetries: 0,
    ...(baseURL !== undefined && { configuration: { baseURL } }),
  };
}
