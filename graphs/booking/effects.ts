/** What a trip books, and how each is taken back. */

import { effect } from "holdfast";
import { ask, find } from "../environment/world.ts";

export const bookFlight = effect({
  name: "booking.flight",
  run: (
    seat: { trip: string; traveller: string; from: string; to: string; leaves: string },
    context,
  ) => ask("flight", seat, context),
  reconcile: async (seat, { signal }) => {
    const [result] = await find<typeof seat>("flight", { trip: seat.trip }, { signal });
    return result === undefined ? { done: false } : { done: true, result };
  },
  undo: async (_, booked, context) => {
    if (booked !== undefined) await ask("cancel-flight", { flight: booked.id }, context);
  },
});

export const bookHotel = effect({
  name: "booking.hotel",
  run: (
    room: { trip: string; traveller: string; city: string; leaves: string; returns: string },
    context,
  ) => ask("hotel", room, context),
  reconcile: async (room, { signal }) => {
    const [result] = await find<typeof room>("hotel", { trip: room.trip }, { signal });
    return result === undefined ? { done: false } : { done: true, result };
  },
  undo: async (_, booked, context) => {
    if (booked !== undefined) await ask("cancel-hotel", { hotel: booked.id }, context);
  },
});
