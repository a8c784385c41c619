// Files, chosen or dropped. Each is sent to `url` by itself; the form around sends only the ids that came back.
import { useRef, useState } from "react";
import { descriptionsOf, FieldFrame, useField } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { announce } from "./live_store.js";
import { fillMessage } from "./messages.js";
import { formatBytes } from "./matrix_format.js";
import { upload } from "./request.js";
import { connection } from "./signals.js";

let serial = 0;

function isAccepted(file, accept) {
  if (!accept) return true;
  return accept.split(",").map((one) => one.trim().toLowerCase()).some((one) => {
    if (one.startsWith(".")) return file.name.toLowerCase().endsWith(one);
    return one.endsWith("/*") ? file.type.startsWith(one.slice(0, -1)) : file.type === one;
  });
}

/** Without `url` the files travel nowhere by themselves: `onFiles` is told their names, sizes and types. */
export function FileField({ name, label, hint, accept, bytesMax, many = false, url, required, optional, texts, onFiles, onUploaded }) {
  const { id, error, forgive } = useField(name);
  const [files, setFiles] = useState([]);
  const [over, setOver] = useState(false);
  const input = useRef(null);
  const patch = (key, changes) => setFiles((all) => all.map((one) => (one.key === key ? { ...one, ...changes } : one)));
  const limit = bytesMax ? formatBytes(bytesMax) : "";

  async function take(entry) {
    try {
      const answer = await upload(url, entry.file, { unreachable: texts.unreachable, onProgress: (share) => patch(entry.key, { share }) });
      patch(entry.key, { state: "done", share: 1, id: answer?.id ?? "" });
      announce(fillMessage(texts.uploaded, { name: entry.file.name }));
      onUploaded?.(answer ?? {});
    } catch (problem) {
      patch(entry.key, { state: "failed", problem: problem.sentence ?? problem.message });
    }
  }

  function add(list) {
    const chosen = [...list].slice(0, many ? undefined : 1).map((file) => {
      const entry = { key: `file-${++serial}`, file, state: url ? "sending" : "done", share: 0, id: "", problem: "" };
      if (bytesMax && file.size > bytesMax) return { ...entry, state: "failed", problem: fillMessage(texts.too_large, { limit }) };
      if (!isAccepted(file, accept)) return { ...entry, state: "failed", problem: texts.wrong_type };
      if (url && connection.get() === "lost") return { ...entry, state: "failed", problem: texts.lost };
      return entry;
    });
    if (chosen.length === 0) return;
    forgive(name);
    setFiles((all) => (many ? [...all, ...chosen] : chosen));
    onFiles?.(chosen.filter((one) => one.state !== "failed").map(({ file }) => ({ name: file.name, size: file.size, type: file.type })));
    chosen.filter((one) => one.state === "sending").forEach(take);
  }

  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    add(event.dataTransfer.files);
  };
  const drag = (event) => {
    event.preventDefault();
    setOver(true);
  };
  const change = (event) => {
    add(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  };
  const remove = (key) => {
    setFiles((all) => all.filter((one) => one.key !== key));
    input.current?.focus();
  };
  const ids = files.filter((one) => one.state === "done").map((one) => one.id);
  const sending = files.some((one) => one.state === "sending");
  return (
    <FieldFrame id={id} label={label} hint={hint} optional={optional} error={error}>
      <div className="drop-zone" data-over={over} onDrop={drop} onDragOver={drag} onDragLeave={() => setOver(false)}>
        <Icon name="upload" size={20} />
        <label className="button" htmlFor={id} id={`${id}-choose`}>
          {many ? texts.choose_many : texts.choose}
        </label>
        <input
          ref={input}
          id={id}
          type="file"
          className="visually-hidden"
          aria-labelledby={`${id}-label ${id}-choose`}
          accept={accept}
          multiple={many}
          aria-describedby={descriptionsOf(id, { hint, error, more: `${id}-limits` })}
          aria-invalid={error ? true : undefined}
          onChange={change}
        />
        <p className="hint" id={`${id}-limits`}>
          {texts.drop}
          {limit && ` ${fillMessage(texts.limit, { limit })}`}
        </p>
      </div>
      <input
        type="hidden"
        name={name}
        value={ids.join(",")}
        data-label={label}
        data-required={required}
        data-complaint={sending ? texts.sending : ""}
      />
      {files.length > 0 && (
        <ul className="file-list">
          {files.map((one) => (
            <FileRow key={one.key} entry={one} texts={texts} onRemove={() => remove(one.key)} />
          ))}
        </ul>
      )}
    </FieldFrame>
  );
}

function FileRow({ entry, texts, onRemove }) {
  const { file, state, share, problem } = entry;
  return (
    <li className="file-row" data-state={state}>
      <Icon name={state === "failed" ? "circle-alert" : state === "done" ? "circle-check" : "file-text"} />
      <span className="file-name">{file.name}</span>
      <data className="file-size num" value={file.size}>
        {formatBytes(file.size)}
      </data>
      <button type="button" className="button quiet square compact" aria-label={fillMessage(texts.remove, { name: file.name })} onClick={onRemove}>
        <Icon name="x" />
      </button>
      {state === "sending" && (
        <div className="progress-track" role="progressbar" aria-label={file.name} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}>
          <div className="progress-bar" style={{ inlineSize: `${share * 100}%` }} />
        </div>
      )}
      {problem && <p className="field-error">{problem}</p>}
    </li>
  );
}
