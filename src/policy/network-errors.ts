/** What the codes of Node's and undici's errors mean: connections, DNS, TLS and their timeouts. */

import type { Finding } from "./kinds.ts";

/** Nothing was sent: the connection never stood. */
const NEVER_CONNECTED = new Set([
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "EAI_NONAME"],
  ...["ENETDOWN", "EHOSTDOWN", "EADDRNOTAVAIL"],
]);

/** The connection broke, or never stood: only the system call tells. */
const BROKEN = new Set([
  ...["ECONNRESET", "ECONNABORTED", "EPIPE", "ENETUNREACH", "EHOSTUNREACH", "ENETRESET"],
  ...["ENOTCONN", "EPROTO", "UND_ERR_SOCKET", "UND_ERR_CLOSED", "UND_ERR_DESTROYED"],
  ...["UND_ERR_RES_CONTENT_LENGTH_MISMATCH", "ERR_STREAM_PREMATURE_CLOSE"],
  // A compressed answer that ends too early.
  ...["Z_BUF_ERROR", "Z_DATA_ERROR"],
]);

const TIMED_OUT = new Set([
  ...["ETIMEDOUT", "ESOCKETTIMEDOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"],
]);

/** The other side is not who it should be, and won't be next time. */
const UNTRUSTED = new Set([
  ...["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID", "CERT_REVOKED", "CERT_UNTRUSTED"],
  ...["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT"],
  ...["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  ...["ERR_TLS_CERT_ALTNAME_INVALID"],
]);

/** What an error's code says of the network; undefined for an error that has none of these codes. */
export function networkFinding(error: object): Finding | undefined {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code !== "string") return undefined;
  const notPerformed = NEVER_CONNECTED.has(code) || syscall === "connect";
  if (NEVER_CONNECTED.has(code) || BROKEN.has(code) || /^(HPE|ERR_SSL)_/.test(code)) {
    const why = notPerformed ? "no connection" : "the connection broke";
    return { kind: "network", why: `${code}: ${why}`, notPerformed };
  }
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ERR_SOCKET_CONNECTION_TIMEOUT") {
    return { kind: "timeout", why: `${code}: no connection in time`, notPerformed: true };
  }
  if (TIMED_OUT.has(code)) return { kind: "timeout", why: `${code}: no answer`, notPerformed };
  if (UNTRUSTED.has(code)) {
    return { kind: "invalid", why: `${code}: the certificate is not good`, notPerformed: true };
  }
  return undefined;
}
