// One way to call our REST API from a page: same origin, by cookie, guarded against forged requests by a header
// that another site cannot send.

export class Problem extends Error {
  /** `body` is an RFC 9457 problem or an OpenAI-style error; `status` 0 means the server was not reached. */
  constructor(status, body, fallback) {
    const error = body?.error && typeof body.error === "object" ? body.error : (body ?? {});
    super(error.detail || error.message || error.title || fallback);
    this.status = status;
    this.code = error.code ?? "";
    this.nextStep = error.next_step ?? "";
    this.reference = error.reference ?? error.request_id ?? error.trace_id ?? "";
    this.details = error.details ?? {};
    this.fields = fieldErrors(error.errors);
  }

  get sentence() {
    return this.nextStep ? `${this.message} ${this.nextStep}` : this.message;
  }
}

/** Errors by field name from `{name: message}` or `[{field | loc | pointer, message | detail | msg}]`. */
function fieldErrors(errors) {
  if (!errors) return {};
  if (!Array.isArray(errors)) return errors;
  const named = errors.map((error) => [
    String(error.field ?? error.loc?.at?.(-1) ?? error.pointer ?? "").replace(/^.*[/.]/, ""),
    error.message ?? error.detail ?? error.msg ?? "",
  ]);
  return Object.fromEntries(named.filter(([field]) => field));
}

export function ownHeaders(extra = {}) {
  return { "X-Matrix-CSRF": "1", ...extra };
}

function parsedBody(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

let askForProof = null;
let asking = null;

/** `ask` has the person show who they are, and resolves to whether they did. The window's dialog provides it. */
export function provideProof(ask) {
  askForProof = ask;
}

/** One question at a time, however many requests wait for its answer. */
function proved() {
  asking ??= askForProof().finally(() => {
    asking = null;
  });
  return asking;
}

/**
 * Resolves to the parsed body; rejects with Problem, or AbortError when `signal` fires. What the server does only after
 * a proof is sent again once the person has given it.
 */
export async function send(method, url, options) {
  try {
    return await sendOnce(method, url, options);
  } catch (problem) {
    if (problem.code !== "proof_needed" || !askForProof || !(await proved())) throw problem;
    return sendOnce(method, url, options);
  }
}

async function sendOnce(method, url, { body, headers, signal, unreachable = "" } = {}) {
  let response;
  try {
    response = await fetch(url, {
      method,
      signal,
      credentials: "same-origin",
      headers: ownHeaders({ ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, null, unreachable);
  }
  const parsed = parsedBody(await response.text());
  if (!response.ok) throw new Problem(response.status, parsed, `${response.status} ${response.statusText}`);
  return parsed;
}

/** An idempotency key that nobody else has; `crypto.randomUUID` is missing where a page has no TLS. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends one file as the part `file` of a form; `onProgress` is told the share that is on its way. Answers like `send`. */
export function upload(url, file, { unreachable = "", onProgress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
    const body = new FormData();
    body.append("file", file, file.name);
    request.open("POST", url);
    Object.entries(ownHeaders()).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, null, unreachable));
    request.onload = () => {
      const parsed = parsedBody(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(parsed);
      else reject(new Problem(request.status, parsed, `${request.status} ${request.statusText}`));
    };
    request.send(body);
  });
}

/** Only a path on this site: a `next` from the address bar must not lead elsewhere. */
export function ownPath(path, fallback) {
  return typeof path === "string" && /^\/(?![/\\])/.test(path) ? path : fallback;
}

/** A field called `settings.base` is `base` within `settings`. */
export function nested(values) {
  const whole = {};
  for (const [name, value] of Object.entries(values)) {
    const [outer, inner] = name.split(".");
    if (inner === undefined) whole[name] = value;
    else (whole[outer] ??= {})[inner] = value;
  }
  return whole;
}
