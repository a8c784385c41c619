// The field and list of picker.jsx, of React Aria.
import { useContext, useMemo, useState } from "react";
import { Button, ComboBox as AriaComboBox, ComboBoxStateContext, Input, Label, ListBox, ListBoxItem, OverlayTriggerStateContext, Popover, Text, useFilter } from "react-aria-components";
import { FieldError, useField } from "./forms.jsx";
import { Icon } from "./icon.jsx";
import { inOrder, nameOf } from "./matrix_format.js";
import { useSearch } from "./picker_search.js";

function Option({ option }) {
  return (
    <ListBoxItem id={option.id} textValue={option.label} className="menu-item">
      <span className="menu-text">
        <span>{option.label}</span>
        {option.detail && <span className="menu-detail">{option.detail}</span>}
      </span>
      <Icon name="check" className="menu-check" />
    </ListBoxItem>
  );
}

// By their codes, in the page's language and order; what was chosen is there, whether or not it is offered.
function named(kind, options, value) {
  const codes = new Set(options.map((option) => option.id));
  if (value) codes.add(value);
  const made = [...codes].map((id) => ({ id, label: nameOf(kind, id), detail: id }));
  return made.sort((first, second) => inOrder(first.label, second.label));
}

// What is typed may be a part of a name, or how the detail beside it begins: "DE" finds Germany.
function useMatch(options) {
  const { contains, startsWith } = useFilter({ sensitivity: "base" });
  const details = useMemo(() => new Map(options?.map(({ label, detail }) => [label, detail])), [options]);
  return (label, typed) => contains(label, typed) || startsWith(details.get(label) ?? "", typed);
}

/**
 * React Aria closes a list at every scroll, and takes back what was typed. But the page scrolls to bring the field into
 * view, and the list goes along: then it stays open. Where it would stay behind it closes, and what was typed stays.
 */
function FieldPopover({ children }) {
  const state = useContext(ComboBoxStateContext);
  const close = () => window.event?.target !== document && state.setOpen(false);
  return (
    <OverlayTriggerStateContext.Provider value={{ ...state, close }}>
      <Popover className="popover popover-field" placement="bottom start">
        {children}
      </Popover>
    </OverlayTriggerStateContext.Provider>
  );
}

export default function PickerList({ name, label, hint, options: listed, names, value, required, onChange, searchUrl, texts }) {
  const given = useMemo(() => (names ? named(names, listed, value) : listed), [names, listed, value]);
  const nameOfValue = () => given?.find((option) => option.id === value)?.label ?? "";
  const [chosen, setChosen] = useState(value ?? null);
  const [typed, setTyped] = useState(nameOfValue);
  const [shown, setShown] = useState(value);
  if (value !== shown) {
    // What the page knows by now: it may have come after the list, or be what somebody else saved.
    setShown(value);
    setChosen(value ?? null);
    setTyped(nameOfValue());
  }
  const { options, state, search } = useSearch({ options: given, searchUrl });
  const { id, error, forgive } = useField(name);
  const matches = useMatch(options);
  const choose = (key) => {
    setChosen(key);
    if (search) setTyped(key === null ? "" : (options.find((option) => option.id === key)?.label ?? ""));
    if (key !== null) forgive(name);
    onChange?.(key === null ? "" : String(key));
  };
  const type = (text) => {
    setTyped(text);
    if (text !== options.find((option) => option.id === chosen)?.label) search(text);
  };
  const looked = search ? { inputValue: typed, onInputChange: type, allowsEmptyCollection: true, defaultFilter: () => true } : {};
  const note = { searching: texts.searching, failed: texts.failed }[state];
  return (
    <AriaComboBox
      className="field"
      selectedKey={chosen}
      onSelectionChange={choose}
      isInvalid={Boolean(error)}
      isRequired={required}
      validationBehavior="aria"
      menuTrigger="focus"
      defaultFilter={matches}
      {...looked}
    >
      <Label className="label">{label}</Label>
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <div className="input-group">
        <Input className="input" id={id} />
        <Button className="input-button" aria-label={texts.open}>
          <Icon name={state === "searching" ? "loader-circle" : "chevron-down"} className={state === "searching" ? "spinner" : ""} />
        </Button>
      </div>
      {search && (
        <span className="visually-hidden" role="status">
          {note}
        </span>
      )}
      {name && <input type="hidden" name={name} value={chosen ?? ""} data-label={label} data-required={required} />}
      <FieldError id={id} error={error} />
      <FieldPopover>
        <ListBox className="menu" renderEmptyState={() => <p className="menu-empty">{note ?? texts.none}</p>}>
          {options.map((option) => (
            <Option key={option.id} option={option} />
          ))}
        </ListBox>
      </FieldPopover>
    </AriaComboBox>
  );
}
