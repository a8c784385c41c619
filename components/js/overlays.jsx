// Things that float: dialogs, menus, tooltips. Focus, names, keys and inertness come from React Aria.
import { useState } from "react";
import {
  Button,
  Dialog as AriaDialog,
  DialogTrigger,
  Heading,
  Menu as AriaMenu,
  MenuItem,
  MenuTrigger,
  Modal,
  ModalOverlay,
  Popover,
  Tooltip as AriaTooltip,
  TooltipTrigger,
} from "react-aria-components";
import { Icon } from "./icon.jsx";
import { connection, useSignal } from "./signals.js";

function TriggerButton({ label, icon, look = "", iconOnly = false }) {
  return (
    <Button className={`button ${look} ${iconOnly ? "square" : ""}`} aria-label={iconOnly ? label : undefined}>
      {icon && <Icon name={icon} />}
      {!iconOnly && label}
    </Button>
  );
}

function Frame({ title, description, size = "medium", busy = false, role, closeLabel, children }) {
  return (
    <Modal className={`dialog dialog-${size}`}>
      <AriaDialog className="dialog-body" role={role}>
        <header className="dialog-head">
          <Heading slot="title" className="dialog-title">
            {title}
          </Heading>
          <Button slot="close" className="button quiet square compact" aria-label={closeLabel} isDisabled={busy}>
            <Icon name="x" />
          </Button>
        </header>
        {description && <p className="muted">{description}</p>}
        {children}
      </AriaDialog>
    </Modal>
  );
}

/** Opened by its own button, or by `open` when something else decides. A busy dialog cannot be dismissed. */
export function Dialog({ trigger, open, onOpenChange, busy = false, dismissable = true, children, ...frame }) {
  const free = !busy && dismissable;
  const overlay = (controlled) => (
    <ModalOverlay className="overlay" isDismissable={free} isKeyboardDismissDisabled={!free} {...controlled}>
      <Frame busy={busy} {...frame}>
        {children}
      </Frame>
    </ModalOverlay>
  );
  const state = open === undefined || open === null ? {} : { isOpen: open };
  if (!trigger) return overlay({ ...state, onOpenChange });
  return (
    <DialogTrigger {...state} onOpenChange={onOpenChange}>
      <TriggerButton {...trigger} />
      {overlay({})}
    </DialogTrigger>
  );
}

export function DialogClose({ label, look = "" }) {
  return (
    <Button slot="close" className={`button ${look}`}>
      {label}
    </Button>
  );
}

/** States the consequence first; with `typed`, the exact name has to be typed before the verb can be pressed. */
export function ConfirmDialog({ trigger, open, onOpenChange, title, text, verb, typed, typedLabel, danger, onConfirm, texts, children }) {
  const lost = useSignal(connection) === "lost";
  const [entered, setEntered] = useState("");
  const ready = !lost && (!typed || entered.trim() === typed);
  const changed = (isOpen) => {
    setEntered("");
    onOpenChange?.(isOpen);
  };
  return (
    <Dialog trigger={trigger} open={open} onOpenChange={changed} title={title} size="small" role="alertdialog" closeLabel={texts.close}>
      {text && <p>{text}</p>}
      {children}
      {typed && (
        <label className="field">
          <span className="label">{typedLabel}</span>
          <input className="input" value={entered} autoComplete="off" spellCheck="false" onChange={(event) => setEntered(event.target.value)} />
        </label>
      )}
      {lost && <p className="small muted">{texts.lost}</p>}
      <footer className="dialog-foot">
        <Button slot="close" className="button">
          {texts.cancel}
        </Button>
        <Button slot="close" className={`button primary ${danger ? "danger" : ""}`} isDisabled={!ready} onPress={() => onConfirm?.()}>
          {verb}
        </Button>
      </footer>
    </Dialog>
  );
}

export function ActionMenu({ label, icon = "ellipsis", look = "quiet", showLabel = false, items, onAction }) {
  return (
    <MenuTrigger>
      <Button className={`button ${look} ${showLabel ? "" : "square compact"}`} aria-label={showLabel ? undefined : label}>
        {showLabel && label}
        <Icon name={showLabel ? "chevron-down" : icon} />
      </Button>
      <Popover className="popover" placement="bottom end">
        <AriaMenu className="menu" aria-label={label} onAction={(id) => onAction?.(String(id))}>
          {(items ?? []).map((item) => (
            <MenuItem
              key={item.id}
              id={item.id}
              href={item.href || undefined}
              isDisabled={Boolean(item.disabled)}
              textValue={item.label}
              className={`menu-item ${item.danger ? "tone-danger" : ""}`}
            >
              {item.icon && <Icon name={item.icon} />}
              <span className="menu-text">
                <span>{item.label}</span>
                {item.detail && <span className="menu-detail">{item.detail}</span>}
              </span>
            </MenuItem>
          ))}
        </AriaMenu>
      </Popover>
    </MenuTrigger>
  );
}

/** A button known by its icon: its name is shown on hover and focus. */
export function IconButton({ label, icon, look = "quiet", onPress, disabled = false }) {
  return (
    <TooltipTrigger delay={400} closeDelay={80}>
      <Button className={`button square compact ${look}`} aria-label={label} isDisabled={disabled} onPress={() => onPress?.()}>
        <Icon name={icon} />
      </Button>
      <AriaTooltip className="tooltip" offset={6}>
        {label}
      </AriaTooltip>
    </TooltipTrigger>
  );
}

/** An explanation behind a small "i"; it says nothing that a person needs in order to go on. */
export function InfoTip({ label, text }) {
  return (
    <TooltipTrigger delay={200} closeDelay={80}>
      <Button className="info-tip" aria-label={label}>
        <Icon name="info" />
      </Button>
      <AriaTooltip className="tooltip" offset={6}>
        {text}
      </AriaTooltip>
    </TooltipTrigger>
  );
}
