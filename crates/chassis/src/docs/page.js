// Shows what openapi.json says, and sends the requests that a user composes. Text from outside never becomes markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
const place = new URL("../openapi.json", location.href);
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
document.getElementById("operations").removeAttribute("aria-busy");

function show(api) {
  document.title = api.info.title;
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version}`;
  document.getElementById("about").textContent = api.info.description ?? "";
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      document.getElementById("operations").append(showOperation(api, path, method, item));
    }
  }
}

function showOperation(api, path, method, item) {
  const operation = item[method];
  const element = copy("operation");
  const find = (selector) => element.querySelector(selector);
  find("details").id = operation.operationId;
  find(".method").textContent = method.toUpperCase();
  find(".path").textContent = path;
  find(".summary").textContent = operation.summary ?? "";
  find(".description").textContent = operation.description ?? "";

  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(api, one));
  const body = resolve(api, operation.requestBody);
  const [mediaType, media] = Object.entries(body?.content ?? {})[0] ?? [];
  const fields = parameters.map((parameter) => {
    const schema = resolve(api, parameter.schema) ?? {};
    const about = [parameter.in, parameter.required && "required", parameter.description];
    return { parameter, input: control(schema, parameter.example ?? schema.example), about };
  });
  if (mediaType) {
    const input = document.createElement("textarea");
    input.rows = 6;
    input.value = pretty(example(api, media));
    fields.push({ parameter: { name: "body", required: body.required }, input, about: [mediaType, body.description] });
  }
  for (const { parameter, input, about } of fields) {
    input.id = `${operation.operationId}-${parameter.in ?? "request"}-${parameter.name}`;
    // An empty path parameter would lead to another path; what else is missing, the service is to say.
    input.required = parameter.in === "path";
    const label = copy("field");
    label.querySelector("label").htmlFor = input.id;
    label.querySelector(".name").textContent = parameter.name;
    label.querySelector(".about").textContent = about.filter(Boolean).join(", ");
    find(".fields").append(label, input);
  }

  for (const [status, reference] of Object.entries(operation.responses)) {
    const answer = resolve(api, reference);
    const [content] = Object.values(answer.content ?? {});
    const shown = document.createElement("code");
    shown.textContent = content ? JSON.stringify(example(api, content)) : "";
    const row = find("tbody").insertRow();
    [status, answer.description, shown].forEach((cell) => row.insertCell().append(cell));
  }

  const form = find("form");
  const output = find(".answer");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = fields.map(({ parameter, input }) => ({ ...parameter, value: input.value }));
    const { target, headers } = compose(api, path, given);
    if (mediaType) {
      headers.set("Content-Type", mediaType);
    }
    const content = mediaType && given.at(-1).value;
    await send(output, target, { method: method.toUpperCase(), headers, body: content, cache: "no-store" });
  });
  return element;
}

// Where a request goes and with which headers; parameters that were left empty are left out.
function compose(api, path, given) {
  const values = given.filter(({ in: where, value }) => where === "path" || (where && value !== ""));
  const filled = path.replace(/\{([^}]+)\}/g, (whole, name) => {
    const found = values.find((one) => one.in === "path" && one.name === name);
    return found ? encodeURIComponent(found.value) : whole;
  });
  const target = new URL((api.servers?.[0]?.url ?? ".").replace(/\/$/, "") + filled, place);
  const headers = new Headers();
  for (const { in: where, name, value } of values) {
    if (where === "query") {
      target.searchParams.append(name, value);
    } else if (where === "header") {
      headers.set(name, value);
    }
  }
  return { target, headers };
}

async function send(output, target, request) {
  const write = (part, text) => (output.querySelector(`.${part}`).textContent = text);
  const begun = performance.now();
  output.hidden = false;
  write("request", `${request.method} ${target.pathname}${target.search}`);
  ["duration", "headers", "body"].forEach((part) => write(part, ""));
  write("status", "…");
  try {
    const answer = await fetch(target, request);
    const text = await answer.text();
    write("status", `${answer.status} ${answer.statusText}`);
    write("duration", `${Math.round(performance.now() - begun)} ms`);
    write("headers", [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n"));
    // As it came: a number may have more digits than a script can hold.
    write("body", text);
  } catch (error) {
    write("status", `No answer: ${error.message}`);
  }
}

// What a value of this schema is entered with.
function control(schema, example) {
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : undefined);
  const input = document.createElement(choices ? "select" : "input");
  input.placeholder = example ?? "";
  for (const choice of choices ? ["", ...choices] : []) {
    input.append(new Option(choice));
  }
  return input;
}

// An example of a body: the one that is given, or one that is made from its schema.
function example(api, content) {
  const given = content.example ?? Object.values(content.examples ?? {})[0]?.value;
  return given ?? sample(api, content.schema, 0);
}

function sample(api, reference, depth) {
  const schema = resolve(api, reference) ?? {};
  const type = [schema.type].flat()[0];
  const found = schema.example ?? schema.examples?.[0] ?? schema.default ?? schema.const ?? schema.enum?.[0];
  // A schema may contain itself.
  if (found !== undefined || depth > 5) {
    return found ?? null;
  }
  const [variant] = schema.oneOf ?? schema.anyOf ?? [];
  if (variant) {
    return sample(api, variant, depth + 1);
  }
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((part) => sample(api, part, depth + 1)));
  }
  if (type === "array") {
    return [sample(api, schema.items, depth + 1)];
  }
  if (type === "object") {
    const properties = Object.entries(schema.properties ?? {});
    return Object.fromEntries(properties.map(([name, property]) => [name, sample(api, property, depth + 1)]));
  }
  return { string: "text", integer: schema.minimum ?? 0, number: schema.minimum ?? 0, boolean: true }[type] ?? null;
}

function resolve(api, value) {
  const reference = value?.$ref;
  return reference ? reference.slice(2).split("/").reduce((part, key) => part?.[key], api) : value;
}

function pretty(value) {
  return JSON.stringify(value, null, 2);
}

function copy(id) {
  return document.getElementById(id).content.cloneNode(true);
}
