/**
 * A trip: books the flight and the hotel, then has a model write the itinerary.
 *
 *     flight → hotel → itinerary
 *
 * If the itinerary fails for good, or the hotel is full, the run fails, and `runToEnd` (or
 * `compensate`, by hand) takes back what was booked, newest first: the hotel, then the flight. If the
 * one can't be cancelled, the other still is.
 */

import { Annotation, END, START, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { durable, durableState } from "holdfast";
import { bookFlight, bookHotel } from "./booking/effects.ts";
import { modelFromEnvironment } from "./environment/model.ts";

export interface Trip {
  /** What the traveller calls it by. */
  id: string;
  traveller: string;
  from: string;
  to: string;
  /** ISO dates. */
  leaves: string;
  returns: string;
}

export const BookingState = Annotation.Root({
  ...durableState,
  trip: Annotation<Trip>,
  /** Ids of the bookings. */
  flight: Annotation<string>,
  hotel: Annotation<string>,
  itinerary: Annotation<string>,
});

type State = typeof BookingState.State;
type Update = typeof BookingState.Update;

export interface BookingOptions {
  checkpointer?: BaseCheckpointSaver;
  /** Default: from the environment, or else a loopback server (`environment/model.ts`). */
  model?: BaseChatModel;
}

const step = durable.for(BookingState).with({ timeout: 60_000 });

export function createBookingGraph({ checkpointer, model }: BookingOptions = {}) {
  return new StateGraph(BookingState)
    .addNode("book-flight", step(flight))
    .addNode("book-hotel", step(hotel))
    .addNode("write-itinerary", step(itinerary))
    .addEdge(START, "book-flight")
    .addEdge("book-flight", "book-hotel")
    .addEdge("book-hotel", "write-itinerary")
    .addEdge("write-itinerary", END)
    .compile(checkpointer && { checkpointer });

  async function itinerary({ trip, ...booked }: State, config: LangGraphRunnableConfig) {
    const writer = model ?? (await modelFromEnvironment());
    const answer = await writer.invoke(
      `Write a short itinerary for ${trip.traveller}: ${trip.from} to ${trip.to}, from ${trip.leaves} ` +
        `to ${trip.returns}. The flight is ${booked.flight}, the hotel ${booked.hotel}.`,
      config,
    );
    return { itinerary: answer.text };
  }
}

async function flight({ trip }: State): Promise<Update> {
  const { id, traveller, from, to, leaves } = trip;
  const booked = await bookFlight({ trip: id, traveller, from, to, leaves }, { key: id });
  return { flight: booked.id };
}

async function hotel({ trip }: State): Promise<Update> {
  const { id, traveller, to, leaves, returns } = trip;
  const booked = await bookHotel({ trip: id, traveller, city: to, leaves, returns }, { key: id });
  return { hotel: booked.id };
}

/** For `langgraph.json`. */
export const booking = createBookingGraph();
