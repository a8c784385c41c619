import { Header, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import { Icon } from "./icon.jsx";

function Row({ item, ticked }) {
  return (
    <MenuItem
      id={item.id}
      href={item.external ? item.href : undefined}
      isDisabled={Boolean(item.disabled)}
      textValue={item.label}
      className={`menu-item ${item.danger ? "tone-danger" : ""}`}
    >
      {item.icon && <Icon name={item.icon} />}
      <span className="menu-text">
        <span>{item.label}</span>
        {item.detail && <span className="menu-detail">{item.detail}</span>}
      </span>
      {ticked && <Icon name="check" className="menu-check" />}
    </MenuItem>
  );
}

export default function MenuPopover({ button, label, placement, items, selected, header, last, onPick, onClose }) {
  const all = last ? [...items, last] : items;
  const pick = (id) => {
    onClose();
    onPick?.(all.find((item) => item.id === id));
  };
  const choice = selected === undefined ? {} : { selectionMode: "single", selectedKeys: [selected], disallowEmptySelection: true };
  const rows = items.map((item) => <Row key={item.id} item={item} ticked={item.id === selected} />);
  return (
    <Popover className="popover" aria-label={label} triggerRef={button} isOpen onOpenChange={(open) => !open && onClose()} placement={placement}>
      <Menu className="menu" aria-label={label} autoFocus="first" onAction={pick} onClose={onClose} {...choice}>
        {header ? (
          <MenuSection className="menu-section">
            <Header className="menu-header">
              <strong>{header.title}</strong>
              <span>{header.text}</span>
            </Header>
            {rows}
          </MenuSection>
        ) : (
          rows
        )}
        {last && <Separator className="menu-separator" />}
        {last && <Row item={last} />}
      </Menu>
    </Popover>
  );
}
