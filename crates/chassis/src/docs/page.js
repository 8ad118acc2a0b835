// Shows what openapi.json says, and sends the requests that a user composes. Text from outside never becomes markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
// Parameters that OpenAPI says to ignore: other fields of the description stand for them.
const IGNORED = ["accept", "content-type", "authorization"];
// The classes of RFC 9110, section 15, by the first digit.
const CLASSES = ["", "informational", "successful", "redirection", "client error", "server error"];
// How many characters of an answer are laid out; a megabyte of short lines keeps a browser busy for seconds.
const LONGEST = 200_000;
// How deep a description is followed: a schema may contain itself.
const DEEPEST = 5;

const place = new URL("../openapi.json", location.href);
const main = document.getElementById("operations");
const notice = document.getElementById("notice");

try {
  const answer = await fetch(place);
  if (!answer.ok) {
    throw new Error(`${place.pathname} answers ${answer.status}`);
  }
  show(await answer.json());
  notice.remove();
} catch (error) {
  notice.textContent = `The description cannot be shown: ${error.message}`;
}
main.removeAttribute("aria-busy");

function show(api) {
  document.title = api.info.title;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description ?? "";
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const name = item[method].tags?.[0] ?? "Operations";
      if (!groups.has(name)) {
        groups.set(name, showGroup(name, `group-${groups.size}`));
      }
      groups.get(name).append(showOperation(api, path, method, item));
    }
  }
  main.append(...groups.values());
}

function showGroup(name, id) {
  const section = copy("group").firstElementChild;
  const title = section.querySelector("h2");
  title.id = id;
  title.textContent = name;
  section.setAttribute("aria-labelledby", id);
  return section;
}

function showOperation(api, path, method, item) {
  const operation = item[method];
  const id = operation.operationId ?? `${method}${path.replace(/\W+/g, "-")}`;
  const element = copy("operation");
  const find = (selector) => element.querySelector(selector);
  find("details").id = id;
  find("details").classList.toggle("deprecated", operation.deprecated === true);
  find("h3").id = `${id}-title`;
  find(".method").textContent = method.toUpperCase();
  find(".path").textContent = path;
  find(".summary").textContent = [operation.deprecated && "Deprecated.", operation.summary].filter(Boolean).join(" ");
  find(".description").textContent = operation.description ?? "";
  find("form").setAttribute("aria-labelledby", `${id}-title`);
  find(".answer").setAttribute("aria-label", `Answer to ${method.toUpperCase()} ${path}`);

  const body = resolve(api, operation.requestBody);
  const [mediaType, media] = Object.entries(body?.content ?? {})[0] ?? [];
  const fields = parametersOf(api, item, operation).map((parameter) => {
    const schema = settle(api, parameter.schema);
    const given = parameter.example ?? Object.values(parameter.examples ?? {})[0]?.value ?? sampleOf(schema);
    // Null is only in bodies: a parameter is left out instead.
    const about = [[parameter.in, ...rules(api, schema, false)].join(", "), parameter.description];
    if (typeOf(schema) === "array") {
      about.push("Separate the values by commas");
    }
    return { parameter, schema, input: control(schema, given), about };
  });
  if (mediaType) {
    const input = document.createElement("textarea");
    input.spellcheck = false;
    const text = example(api, media, "readOnly");
    input.value = typeof text === "string" && !isJsonType(mediaType) ? text : JSON.stringify(text, null, 2);
    input.rows = Math.min(Math.max(input.value.split("\n").length, 4), 20);
    const parameter = { name: "body", required: body.required };
    fields.push({ parameter, input, about: [mediaType, body.description] });
    const rows = [...properties(api, media.schema, "", "readOnly", 0)];
    if (rows.length) {
      find(".tables").append(table("Fields of the body", ["Field", "Value", "Meaning"], rows));
    }
  }
  find(".fields").append(...fields.map((field) => showField(id, field)));
  find(".tables").append(table("Possible answers", ["Status", "Meaning", "Example"], answers(api, operation)));

  const outcome = find(".outcome");
  const output = find(".answer");
  let earlier = new AbortController();
  find("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    // The answer that is shown is that of the last request.
    earlier.abort();
    earlier = new AbortController();
    const given = fields.map(({ parameter, schema, input }) => ({ ...parameter, schema, value: input.value }));
    const meaning = (status) => resolve(api, operation.responses?.[status] ?? operation.responses?.default);
    await send({ outcome, output, meaning }, earlier.signal, () => compose(api, path, method, given, mediaType));
  });
  return element;
}

// An operation's own parameter replaces that of its path; a script may not send cookies.
function parametersOf(api, item, operation) {
  const found = new Map();
  for (const parameter of [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(api, one))) {
    found.set(`${parameter.in} ${parameter.name}`, parameter);
  }
  const sent = ({ in: where, name }) =>
    where === "header" ? !IGNORED.includes(name.toLowerCase()) : where === "path" || where === "query";
  return [...found.values()].filter(sent);
}

function showField(id, { parameter, input, about }) {
  const field = copy("field").firstElementChild;
  const [label, hint] = field.children;
  input.id = `${id}-${parameter.in ?? "request"}-${parameter.name}`;
  // An empty path parameter would lead to another path; what else is missing, the service is to say.
  input.required = parameter.in === "path";
  label.htmlFor = input.id;
  label.querySelector(".name").textContent = parameter.name;
  label.querySelector(".required").textContent = parameter.required ? "(required)" : "";
  hint.id = `${input.id}-about`;
  hint.textContent = about.filter(Boolean).join(". ");
  input.setAttribute("aria-describedby", hint.id);
  field.append(input);
  return field;
}

function answers(api, operation) {
  return Object.entries(operation.responses ?? {}).map(([status, reference]) => {
    const answer = resolve(api, reference) ?? {};
    const [content] = Object.values(answer.content ?? {});
    return [status, answer.description ?? "", content ? code(JSON.stringify(example(api, content, "writeOnly"))) : ""];
  });
}

// Name, value and meaning of each field that an object has, with those of the objects in it.
function* properties(api, reference, prefix, hidden, depth) {
  const schema = settle(api, reference);
  for (const part of schema.allOf ?? []) {
    yield* properties(api, part, prefix, hidden, depth);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const inner = settle(api, property);
    if (inner[hidden] || depth > DEEPEST) {
      continue;
    }
    const value = [schema.required?.includes(name) && "required", ...rules(api, inner, isNullable(api, property))];
    yield [code(prefix + name), value.filter(Boolean).join(", "), inner.description ?? ""];
    const items = inner.items && settle(api, inner.items);
    yield* properties(api, items ?? inner, `${prefix}${name}${items ? "[]" : ""}.`, hidden, depth + 1);
  }
}

// What a value must be like, in words.
function rules(api, schema, nullable) {
  const range = (least, most, unit) => {
    const [from, to] = [least !== undefined && `at least ${least}`, most !== undefined && `at most ${most}`];
    return from && to ? `${least} to ${most}${unit}` : (from || to) && `${from || to}${unit}`;
  };
  const type = typeOf(schema);
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  return [
    values ? `one of ${values.join(", ")}` : type === "string" ? (schema.format ?? type) : kind(api, schema, 0),
    range(schema.minLength, schema.maxLength, " characters"),
    range(schema.minimum, schema.maximum, ""),
    range(schema.minItems, schema.maxItems, " items"),
    schema.pattern && `matching ${schema.pattern}`,
    nullable && "or null",
    schema.default !== undefined && `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean);
}

function kind(api, schema, depth) {
  const isList = schema.items && depth < DEEPEST;
  return isList ? `array of ${kind(api, settle(api, schema.items), depth + 1)}` : typeOf(schema);
}

function isNullable(api, reference) {
  const schema = resolve(api, reference) ?? {};
  return [schema, ...(schema.oneOf ?? schema.anyOf ?? [])].flatMap(({ type }) => type).includes("null");
}

// The request as it goes out; parameters that were left empty are left out.
function compose(api, path, method, given, mediaType) {
  const { headers, attached } = credentials();
  const values = given.filter(({ in: where, value }) => where === "path" || value !== "");
  const filled = path.replace(/\{([^}]+)\}/g, (whole, name) => {
    const found = values.find((one) => one.in === "path" && one.name === name);
    return found ? encodeURIComponent(found.value) : whole;
  });
  const target = new URL((api.servers?.[0]?.url ?? ".").replace(/\/$/, "") + filled, place);
  const request = { method: method.toUpperCase(), headers, cache: "no-store" };
  for (const { in: where, name, value, schema } of values) {
    if (where === "query") {
      const several = typeOf(schema) === "array" ? value.split(",").map((one) => one.trim()) : [value];
      several.forEach((one) => target.searchParams.append(name, one));
    } else if (where === "header") {
      headers.set(name, value);
    } else if (where === undefined) {
      headers.set("Content-Type", mediaType);
      request.body = value;
    }
  }
  return { target, request, attached };
}

// The headers that say who asks, and how they are named on the page, which never shows their values.
function credentials() {
  const headers = new Headers();
  const attached = [];
  const bearer = document.getElementById("bearer").value.trim().replace(/^bearer\s+/i, "");
  const key = document.getElementById("key").value.trim();
  if (bearer) {
    headers.set("Authorization", `Bearer ${bearer}`);
    attached.push("a bearer token");
  }
  if (key) {
    headers.set("X-Api-Key", key);
    attached.push("an API key");
  }
  return { headers, attached };
}

async function send({ outcome, output, meaning }, signal, composed) {
  const write = (part, text) => (output.querySelector(`.${part}`).textContent = text);
  const begun = performance.now();
  output.hidden = true;
  try {
    const { target, request, attached } = composed();
    report(outcome, "waiting", "Waiting for the answer…");
    write("request", `${request.method} ${target.pathname}${target.search}`);
    write("with", attached.length ? `Sent with ${attached.join(" and ")}` : "");
    const answer = await fetch(target, { ...request, signal });
    const text = await answer.text();
    const json = isJsonType(answer.headers.get("Content-Type") ?? "");
    report(outcome, answer.ok ? "good" : "bad", `${answer.status} ${answer.statusText}`.trim(), {
      statusClass: `(${CLASSES[Math.floor(answer.status / 100)]})`,
      duration: `after ${Math.round(performance.now() - begun)} ms`,
      meaning: problem(answer, text) ?? meaning(answer.status)?.description,
    });
    write("headers", [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n"));
    write("body", text === "" ? "The answer has no body." : json ? layOut(text) : text);
    output.hidden = false;
  } catch (error) {
    if (!signal.aborted) {
      report(outcome, "bad", "No answer", { meaning: error.message });
    }
  }
}

// What a screen reader reads aloud: all of it has changed when it does.
function report(outcome, kind, status, { statusClass = "", duration = "", meaning = "" } = {}) {
  outcome.className = `outcome ${kind}`;
  const parts = { status, class: statusClass, duration, meaning };
  for (const [part, text] of Object.entries(parts)) {
    outcome.querySelector(`.${part}`).textContent = text;
  }
}

// What problem details (RFC 9457) say in words.
function problem(answer, text) {
  if (!/^application\/problem\+json\b/.test(answer.headers.get("Content-Type") ?? "")) {
    return undefined;
  }
  try {
    const { title, detail } = JSON.parse(text);
    return [title, detail].filter(Boolean).join(": ") || undefined;
  } catch {
    // The body is shown as it is.
    return undefined;
  }
}

// JSON with lines and indentation, and otherwise as it came: a number may have more digits than a script can hold.
function layOut(text) {
  if (text.length > LONGEST || !isJson(text)) {
    return text;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, 20))}`;
  return text.replace(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\],:]|\s+/g, (token) => {
    if (token.startsWith('"')) {
      return token;
    }
    const bare = token.replace(/\s+/g, "");
    if (bare === "{" || bare === "[") {
      depth += 1;
      return bare + line();
    }
    if (bare === "}" || bare === "]") {
      depth -= 1;
      return line() + bare;
    }
    return bare === "," ? bare + line() : bare === ":" ? ": " : bare;
  });
}

function isJsonType(mediaType) {
  return /[/+]json\b/.test(mediaType);
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// What a value of this schema is entered with.
function control(schema, example) {
  const choices = schema.enum ?? (typeOf(schema) === "boolean" ? ["true", "false"] : undefined);
  if (choices) {
    const select = document.createElement("select");
    select.append(new Option("not set", ""), ...choices.map((choice) => new Option(choice, choice)));
    return select;
  }
  const input = document.createElement("input");
  input.autocomplete = "off";
  input.spellcheck = false;
  input.placeholder = example === undefined ? "" : `${example}`;
  // The digits of a phone may lack the minus sign.
  if (schema.minimum >= 0) {
    input.inputMode = typeOf(schema) === "integer" ? "numeric" : "decimal";
  }
  return input;
}

// An example of a body: the one that is given, or one that is made from its schema.
function example(api, content, hidden) {
  const given = content.example ?? Object.values(content.examples ?? {})[0]?.value;
  return given ?? sample(api, content.schema, hidden, 0);
}

function sampleOf(schema) {
  return schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.const ?? schema.enum?.[0];
}

// Without the fields that are only answered (readOnly) or only sent (writeOnly).
function sample(api, reference, hidden, depth) {
  const schema = settle(api, reference);
  const type = typeOf(schema);
  const found = sampleOf(schema);
  if (found !== undefined || depth > DEEPEST) {
    return found ?? null;
  }
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((part) => sample(api, part, hidden, depth + 1)));
  }
  if (type === "array") {
    return [sample(api, schema.items, hidden, depth + 1)];
  }
  if (type === "object") {
    const shown = Object.entries(schema.properties ?? {}).filter(([, property]) => !settle(api, property)[hidden]);
    return Object.fromEntries(shown.map(([name, property]) => [name, sample(api, property, hidden, depth + 1)]));
  }
  return { string: "text", integer: schema.minimum ?? 0, number: schema.minimum ?? 0, boolean: true }[type] ?? null;
}

function typeOf(schema) {
  return [schema.type].flat().find((type) => type !== "null");
}

// The schema that counts: what a reference names, and of several variants the first that is not just null.
function settle(api, reference) {
  let schema = resolve(api, reference) ?? {};
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    const variants = schema.oneOf ?? schema.anyOf ?? (schema.allOf?.length === 1 ? schema.allOf : []);
    const variant = variants.find(({ type }) => type !== "null");
    if (!variant) {
      break;
    }
    schema = { ...resolve(api, variant), ...without(schema, ["oneOf", "anyOf", "allOf"]) };
  }
  return schema;
}

function without(object, names) {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function resolve(api, value) {
  const reference = value?.$ref;
  if (!reference) {
    return value;
  }
  // In a JSON pointer (RFC 6901), ~1 is a slash, and ~0 is a tilde.
  const keys = reference.slice(2).split("/").map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = keys.reduce((part, key) => part?.[key], api);
  return value.description === undefined ? found : { ...found, description: value.description };
}

function table(caption, columns, rows) {
  const element = copy("table").firstElementChild;
  element.caption.textContent = caption;
  element.tHead.rows[0].append(...columns.map((column) => cell("th", "columnheader", column)));
  for (const row of rows) {
    const line = element.tBodies[0].insertRow();
    line.setAttribute("role", "row");
    row.forEach((content, index) => {
      const shown = index ? cell("td", "cell", content) : cell("th", "rowheader", content);
      shown.dataset.column = columns[index];
      line.append(shown);
    });
  }
  return element;
}

function cell(name, role, content) {
  const element = document.createElement(name);
  element.setAttribute("role", role);
  if (name === "th") {
    element.scope = role === "rowheader" ? "row" : "col";
  }
  element.append(content);
  return element;
}

function code(text) {
  const element = document.createElement("code");
  element.textContent = text;
  return element;
}

function copy(id) {
  return document.getElementById(id).content.cloneNode(true);
}
