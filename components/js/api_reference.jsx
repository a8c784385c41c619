// The reference of an API from its OpenAPI document: a section for each tag, operations folded within.
import { useCallback, useEffect, useState } from "react";
import { CopyButton } from "./copy.jsx";
import { Icon } from "./icon.jsx";

/** Operations by tag, in the order of the document: `[{name, description, operations: [{method, path, ...}]}]`. */
export function byTag(document) {
  const tags = document.tags.map((tag) => ({ ...tag, operations: [] }));
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const home = tags.find((tag) => tag.name === operation.tags[0]);
      home?.operations.push({ ...operation, method: method.toUpperCase(), path });
    }
  }
  return tags.filter((tag) => tag.operations.length > 0);
}

/** The first example among media types, as text. */
export function exampleOf(content) {
  const media = Object.values(content ?? {}).find((one) => one.example !== undefined);
  if (media === undefined) return "";
  return typeof media.example === "string" ? media.example : JSON.stringify(media.example, null, 2);
}

/** Text with `code` in backticks, as parts. */
function Words({ text }) {
  return (text ?? "").split("`").map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part));
}

/** `of` is the operation, for who hears one such block among others. */
function Code({ text, title, of, copyTexts }) {
  return (
    <div className="code-block">
      <header>
        {title}
        <CopyButton text={text} label={copyTexts.copy.replace("{label}", `${title}, ${of}`)} texts={copyTexts} />
      </header>
      <pre tabIndex={0} role="region" aria-label={`${title}, ${of}`}>
        <code>{text}</code>
      </pre>
    </div>
  );
}

function Parameters({ parameters, of, texts }) {
  return (
    <div className="table-scroll" role="region" aria-label={`${texts.takes}, ${of}`} tabIndex={0}>
      <table className="table">
        <caption className="visually-hidden">{texts.takes}</caption>
        <thead>
          <tr>
            <th scope="col">{texts.name}</th>
            <th scope="col">{texts.where}</th>
            <th scope="col">{texts.means}</th>
          </tr>
        </thead>
        <tbody>
          {parameters.map((one) => (
            <tr key={`${one.in} ${one.name}`}>
              <th scope="row">
                <code>{one.name}</code>
              </th>
              <td>
                {one.in}
                {one.required ? `, ${texts.required}` : ""}
              </td>
              <td>
                <Words text={one.description ?? one.schema?.description} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function whoMay(operation, texts) {
  if (!operation.security?.length) return texts.for_anyone;
  return operation.security.some((one) => "ApiKey" in one) ? texts.for_keys : texts.for_people;
}

/** Folded until somebody opens it, and drawn then: all of them together are tens of thousands of elements. */
function Operation({ operation, texts, copyTexts }) {
  const [wasOpened, setWasOpened] = useState(false);
  const open = (event) => event.currentTarget.open && setWasOpened(true);
  return (
    <details className="operation" id={operation.operationId} onToggle={open}>
      <summary>
        <code className="operation-method">{operation.method}</code>
        <code className="operation-path">{operation.path}</code>
        <span className="muted">{operation.summary}</span>
      </summary>
      {wasOpened && <Unfolded operation={operation} texts={texts} copyTexts={copyTexts} />}
    </details>
  );
}

function Unfolded({ operation, texts, copyTexts }) {
  const of = `${operation.method} ${operation.path}`;
  const body = exampleOf(operation.requestBody?.content);
  const answers = Object.entries(operation.responses);
  const shown = exampleOf(answers.find(([status]) => status.startsWith("2"))?.[1].content);
  return (
    <div className="stack">
      <p>
        <Words text={operation.description} />
      </p>
      <p className="small muted">{whoMay(operation, texts)}</p>
      {operation.parameters?.length > 0 && <Parameters parameters={operation.parameters} of={of} texts={texts} />}
      {body && <Code text={body} title={texts.sends} of={of} copyTexts={copyTexts} />}
      {shown && <Code text={shown} title={texts.shows} of={of} copyTexts={copyTexts} />}
      <h4>{texts.answers}</h4>
      <dl className="facts">
        {answers.map(([status, answer]) => (
          <div className="operation-answer" key={status}>
            <dt>
              <code>{status}</code>
            </dt>
            <dd>{answer.description}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Opens the operation that the address names, once it is there. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  if (named?.tagName !== "DETAILS") return;
  named.open = true;
  named.scrollIntoView();
}

export function ApiReference({ url, texts, copyTexts }) {
  const [tags, setTags] = useState(null);
  const [failed, setFailed] = useState(false);
  const load = useCallback(async () => {
    setFailed(false);
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(String(answer.status));
      setTags(byTag(await answer.json()));
    } catch {
      setFailed(true);
    }
  }, [url]);
  useEffect(() => {
    load();
  }, [load]);
  useEffect(() => {
    if (tags) openNamed();
  }, [tags]);
  if (failed) {
    return (
      <div className="empty-state tone-danger" role="alert">
        <Icon name="circle-alert" size={24} />
        <h3>{texts.failed}</h3>
        <p>{texts.failed_text}</p>
        <button type="button" className="button" onClick={load}>
          <Icon name="rotate-ccw" />
          {texts.retry}
        </button>
      </div>
    );
  }
  if (!tags) {
    return (
      <div className="skeleton" role="status" aria-busy="true">
        <span className="visually-hidden">{texts.loading}</span>
        {Array.from({ length: 6 }, (_, at) => (
          <span className="skeleton-line" key={at} />
        ))}
      </div>
    );
  }
  return tags.map((tag) => (
    <section className="stack" key={tag.name}>
      <h3>{tag.description}</h3>
      {tag.operations.map((operation) => (
        <Operation key={operation.operationId} operation={operation} texts={texts} copyTexts={copyTexts} />
      ))}
    </section>
  ));
}
