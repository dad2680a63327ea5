/**
 * A pooler in transaction mode, as PgBouncer is one: clients think that they have a session each,
 * and get another one of a few real ones for every transaction. Session state is gone by the next
 * transaction, prepared statements too, or another client's are there instead.
 *
 * Always the next session in turn, so that nobody ever gets the same one twice by luck.
 */

import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import pg from "pg";
import { onTestFinished } from "vitest";

export interface Pooler {
  /** The given URL, through the pooler. */
  readonly url: string;
  /** SQLSTATEs of the errors that went to clients. */
  readonly errors: string[];
  transactions: number;
}

interface Session {
  stream: Socket;
  owner: Client | undefined;
}

interface Client {
  socket: Socket;
  /** Sent before a session was free. */
  waiting: Buffer[];
  session: Session | undefined;
  /** Answers still to come, and whether a batch of messages still lacks its Sync. */
  due: number;
  isOpen: boolean;
}

export async function startPooler(url: string, sessionCount: number): Promise<Pooler> {
  const sessions: Session[] = [];
  const queue: Client[] = [];
  const sockets = new Set<Socket>();
  const pooler = { url: "", errors: [] as string[], transactions: 0 };
  let turn = 0;

  const assign = (): void => {
    while (queue.length > 0) {
      const order = sessions.map((_, i) => sessions[(turn + i) % sessions.length] as Session);
      const free = order.find((session) => session.owner === undefined);
      if (free === undefined) return;
      turn = sessions.indexOf(free) + 1;
      const client = queue.shift() as Client;
      client.session = free;
      free.owner = client;
      pooler.transactions += 1;
      for (const message of client.waiting.splice(0)) forward(client, message);
    }
  };
  const forward = (client: Client, message: Buffer): void => {
    if (client.session === undefined) {
      client.waiting.push(message);
      if (!queue.includes(client)) queue.push(client);
      assign();
      return;
    }
    const type = String.fromCharCode(message[0] as number);
    client.isOpen = type !== "S" && type !== "Q";
    if (!client.isOpen) client.due += 1;
    client.session.stream.write(message);
  };
  const answer = (session: Session, message: Buffer): void => {
    const client = session.owner;
    if (client === undefined) return;
    client.socket.write(message);
    const type = String.fromCharCode(message[0] as number);
    if (type === "E") pooler.errors.push(/C(\w{5})\0/.exec(message.toString("latin1"))?.[1] ?? "");
    if (type !== "Z") return;
    client.due -= 1;
    const isIdle = String.fromCharCode(message[5] as number) === "I";
    if (!isIdle || client.due > 0 || client.isOpen) return;
    session.owner = undefined;
    client.session = undefined;
    assign();
  };

  for (let i = 0; i < sessionCount; i += 1) {
    const session: Session = { stream: await login(url), owner: undefined };
    session.stream.on(
      "data",
      splitter(false, (message) => answer(session, message)),
    );
    sessions.push(session);
    sockets.add(session.stream);
  }
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    const client: Client = { socket, waiting: [], session: undefined, due: 0, isOpen: false };
    let isStarted = false;
    socket.on(
      "data",
      splitter(true, (message) => {
        if (!isStarted) {
          isStarted = true;
          socket.write(WELCOME);
        } else if (message[0] === "X".charCodeAt(0)) socket.end();
        else forward(client, message);
      }),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  pooler.url = Object.assign(new URL(url), {
    port: String((server.address() as AddressInfo).port),
  }).href;
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return pooler;
}

/** A session whose bytes are ours once the driver has logged in. */
async function login(url: string): Promise<Socket> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data");
  return stream;
}

/** Calls back with one whole message of the protocol at a time. */
function splitter(
  startsWithoutType: boolean,
  onMessage: (message: Buffer) => void,
): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  let typeBytes = startsWithoutType ? 0 : 1;
  return (data) => {
    rest = Buffer.concat([rest, data]);
    while (rest.length >= typeBytes + 4) {
      const length = typeBytes + rest.readInt32BE(typeBytes);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      typeBytes = 1;
      onMessage(message);
    }
  };
}

/** Logged in; the server's version and encoding; a key; ready. */
const WELCOME = Buffer.concat([
  message("R", Buffer.of(0, 0, 0, 0)),
  message("S", Buffer.from("server_version\x0018.0\0")),
  message("S", Buffer.from("client_encoding\x00UTF8\0")),
  message("K", Buffer.alloc(8)),
  message("Z", Buffer.from("I")),
]);

function message(type: string, content: Buffer): Buffer {
  const header = Buffer.alloc(5, type);
  header.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([header, content]);
}
