/**
 * The model, from the environment, and the only place of the graph that reads it: with
 * `OPENAI_API_KEY` (and `OPENAI_BASE_URL`, `OPENAI_MODEL`) a real provider, without one a loopback
 * server that answers from the documents in the prompt, so that everything runs on any machine.
 */

import process from "node:process";
import { ChatOpenAI } from "@langchain/openai";
import { fakeOpenAI } from "holdfast/testing";

let shared: Promise<ChatOpenAI> | undefined;

/** One model for the process, made on first use. */
export function modelFromEnvironment(): Promise<ChatOpenAI> {
  return (shared ??= create());
}

async function create(): Promise<ChatOpenAI> {
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: given, OPENAI_MODEL: model } = process.env;
  const loopback = key ? undefined : await fakeOpenAI({ background: true });
  const baseURL = loopback?.baseURL ?? given;
  return new ChatOpenAI({
    model: model ?? "gpt-4o-mini",
    apiKey: key ?? "none needed",
    timeout: 90_000,
    // The steps try again, and nothing is to be tried twice over.
    maxRetries: 0,
    ...(baseURL !== undefined && { configuration: { baseURL } }),
  });
}
