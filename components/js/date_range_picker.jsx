// The fields and the calendar of date_range.jsx, of React Aria.
import { useEffect, useState } from "react";
import {
  Button,
  CalendarCell,
  CalendarGrid,
  CalendarGridBody,
  CalendarGridHeader,
  CalendarHeaderCell,
  DateInput,
  DateRangePicker,
  DateSegment,
  Dialog,
  Group,
  Heading,
  Label,
  Popover,
  RangeCalendar,
  Text,
} from "react-aria-components";
import { parseDate } from "@internationalized/date";
import { presetRange, todayIn } from "./date_presets.js";
import { FieldError, useField } from "./forms.jsx";
import { Icon } from "./icon.jsx";

const dayOf = (text) => (text ? parseDate(text) : null);
const rangeOf = (start, end) => (start && end ? { start: dayOf(start), end: dayOf(end) } : null);

function Days({ slot }) {
  return (
    <DateInput slot={slot} className="date-segments num">
      {(segment) => <DateSegment segment={segment} className="date-segment" />}
    </DateInput>
  );
}

function Calendar() {
  return (
    <RangeCalendar className="calendar">
      <header className="calendar-head">
        <Button slot="previous" className="button quiet square compact">
          <Icon name="chevron-left" />
        </Button>
        <Heading className="calendar-title" />
        <Button slot="next" className="button quiet square compact">
          <Icon name="chevron-right" />
        </Button>
      </header>
      <CalendarGrid className="calendar-grid">
        <CalendarGridHeader>{(day) => <CalendarHeaderCell>{day}</CalendarHeaderCell>}</CalendarGridHeader>
        <CalendarGridBody>{(date) => <CalendarCell date={date} className="calendar-day num" />}</CalendarGridBody>
      </CalendarGrid>
    </RangeCalendar>
  );
}

export default function DateRangeOfAria({ name, label, hint, start, end, zone, presets, required, lastDay, texts, onChange }) {
  const [range, setRange] = useState(() => rangeOf(start, end));
  const [open, setOpen] = useState(false);
  const { id, error, forgive } = useField(name ?? "range");
  useEffect(() => setRange(rangeOf(start, end)), [start, end]);
  const change = (next, preset = "") => {
    setRange(next);
    if (next?.start && next?.end) forgive(name);
    onChange?.({ from: next ? String(next.start) : "", to: next ? String(next.end) : "", preset });
  };
  const choose = (preset) => {
    const { from, to } = presetRange(preset, todayIn(zone));
    change(rangeOf(from, to), preset);
    setOpen(false);
  };
  return (
    <DateRangePicker
      className="field date-range"
      value={range}
      onChange={change}
      isOpen={open}
      onOpenChange={setOpen}
      isRequired={required}
      isInvalid={Boolean(error)}
      validationBehavior="aria"
      maxValue={lastDay ? dayOf(lastDay) : undefined}
    >
      <Label className="label">{label}</Label>
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <Group className="input date-input" id={id} tabIndex={-1}>
        <Days slot="start" />
        <span aria-hidden="true">{"\u2013"}</span>
        <Days slot="end" />
        <Button className="input-button" aria-label={texts.open}>
          <Icon name="calendar" />
        </Button>
      </Group>
      {name && (
        <>
          <input type="hidden" name={`${name}_from`} value={range ? String(range.start) : ""} data-label={label} data-required={required} />
          <input type="hidden" name={`${name}_to`} value={range ? String(range.end) : ""} data-label={label} />
        </>
      )}
      <FieldError id={id} error={error} />
      <Popover className="popover date-popover" placement="bottom start">
        <Dialog className="date-dialog" aria-label={label}>
          {presets?.length > 0 && (
            <div className="date-presets" role="group" aria-label={texts.presets}>
              {presets.map((preset) => (
                <button key={preset} type="button" className="button quiet compact" onClick={() => choose(preset)}>
                  {texts[preset]}
                </button>
              ))}
            </div>
          )}
          <div className="date-calendar">
            <Calendar />
            <p className="small faint">{texts.zone.replace("{zone}", (zone ?? "UTC").replaceAll("_", " "))}</p>
          </div>
        </Dialog>
      </Popover>
    </DateRangePicker>
  );
}
