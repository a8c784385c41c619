// The field and list of picker.jsx, of React Aria.
import { useState } from "react";
import { Button, ComboBox as AriaComboBox, Input, Label, ListBox, ListBoxItem, Popover, Text } from "react-aria-components";
import { Icon } from "./icon.jsx";
import { useField } from "./forms.jsx";

export default function PickerList({ name, label, hint, options, value, required, onChange, texts }) {
  const [chosen, setChosen] = useState(value ?? null);
  const { id, error, forgive } = useField(name);
  const choose = (key) => {
    setChosen(key);
    if (key !== null) forgive(name);
    onChange?.(key === null ? "" : String(key));
  };
  return (
    <AriaComboBox
      className="field"
      selectedKey={chosen}
      onSelectionChange={choose}
      isInvalid={Boolean(error)}
      isRequired={required}
      validationBehavior="aria"
      menuTrigger="focus"
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
          <Icon name="chevron-down" />
        </Button>
      </div>
      {name && <input type="hidden" name={name} value={chosen ?? ""} data-label={label} data-required={required} />}
      {error && (
        <p className="field-error" id={`${id}-error`}>
          <Icon name="circle-alert" />
          {error}
        </p>
      )}
      <Popover className="popover popover-field" placement="bottom start">
        <ListBox className="menu" renderEmptyState={() => <p className="menu-empty">{texts.none}</p>}>
          {(options ?? []).map((option) => (
            <ListBoxItem key={option.id} id={option.id} textValue={option.label} className="menu-item">
              <span className="menu-text">
                <span>{option.label}</span>
                {option.detail && <span className="menu-detail">{option.detail}</span>}
              </span>
              <Icon name="check" className="menu-check" />
            </ListBoxItem>
          ))}
        </ListBox>
      </Popover>
    </AriaComboBox>
  );
}
