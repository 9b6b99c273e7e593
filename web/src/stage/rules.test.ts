/** What the stage's pages decide by themselves, as facts. */
import { describe, expect, it } from "vitest";
import type { Person, Stage, You } from "../api/spaces";
import { changes, moves } from "./changes";
import { may, mayEnd } from "./may";
import { Mute } from "./mute";

describe("your own mute", () => {
  it("is silent at once, and sent", () => {
    const mute = new Mute();
    mute.toggle();
    expect(mute.muted).toBe(true);
    expect(mute.wanted()).toBe(true);
    expect(mute.wanted()).toBeNull();
    mute.arrived();
    expect(mute.told(true)).toBe(false);
    expect(mute.wanted()).toBeNull();
    expect([mute.muted, mute.byOther]).toEqual([true, false]);
  });

  it("by somebody else is news, and only you open again", () => {
    const mute = new Mute();
    expect(mute.told(true)).toBe(true);
    expect([mute.muted, mute.byOther]).toEqual([true, true]);
    expect(mute.told(true)).toBe(false);
    expect(mute.wanted()).toBeNull();
    mute.toggle();
    expect(mute.wanted()).toBe(false);
    mute.arrived();
    expect([mute.muted, mute.byOther]).toEqual([false, false]);
    expect(mute.told(false)).toBe(false);
  });

  it("told late, when it was taken back already, heals by itself", () => {
    const mute = new Mute();
    for (const wish of [true, false]) {
      mute.toggle();
      expect(mute.wanted()).toBe(wish);
      mute.arrived();
    }
    mute.told(true);
    mute.told(false);
    expect([mute.muted, mute.byOther, mute.wanted()]).toEqual([false, false, null]);
  });

  it("from before a reload is kept, and is nobody's news", () => {
    const mute = new Mute(true);
    expect(mute.told(true)).toBe(false);
    expect([mute.muted, mute.byOther, mute.wanted()]).toEqual([true, false, null]);
  });

  it("that did not arrive is sent again", () => {
    const mute = new Mute();
    mute.toggle();
    expect(mute.wanted()).toBe(true);
    mute.failed();
    expect(mute.told(false)).toBe(false);
    expect(mute.muted).toBe(true);
    expect(mute.wanted()).toBe(true);
  });

  it("taken back before it arrived is sent as well", () => {
    const mute = new Mute();
    mute.toggle();
    expect(mute.wanted()).toBe(true);
    mute.toggle();
    mute.arrived();
    expect(mute.wanted()).toBe(false);
    // The server's news of the first came in between: it is not somebody else.
    expect(mute.told(true)).toBe(false);
    mute.arrived();
    expect(mute.told(false)).toBe(false);
    expect(mute.muted).toBe(false);
    expect(mute.wanted()).toBeNull();
  });
});

const person = (id: string, role: Person["role"], more: Partial<Person> = {}): Person => ({
  id, name: id.toUpperCase(), role, standing: "welcome", muted: false, presence: "on-stage", ...more,
});

describe("a menu", () => {
  const check = (role: Person["role"], other: Person, actions: string) =>
    expect(may({ id: "me", role }, other, "live").join(" ")).toBe(actions);

  it("offers what the role may do", () => {
    check("host", person("a", "speaker"), "mute make-co-host hand-over send-back remove block");
    check("host", person("a", "co-host"), "mute unmake-co-host hand-over send-back remove block");
    check("co-host", person("a", "speaker"), "mute send-back remove block");
    for (const role of ["co-host", "host"] as const) check("co-host", person("a", role), "");
    for (const role of ["listener", "speaker"] as const) check(role, person("a", "speaker"), "");
    check("host", person("me", "host"), "");
  });

  it("offers what makes sense where somebody is", () => {
    check("host", person("a", "speaker", { muted: true }), "make-co-host hand-over send-back remove block");
    check("host", person("a", "speaker", { presence: "away" }), "call send-back remove block");
    check("co-host", person("a", "listener", { presence: "away" }), "call remove block");
    check("host", person("a", "listener", { presence: "called" }), "send-back remove block");
    check("co-host", person("a", "listener", { presence: "away", standing: "blocked" }), "pardon");
    expect(may({ id: "me", role: "host" }, person("a", "speaker", { presence: "away" }), "scheduled")).not.toContain("call");
  });

  it("lets a co-host end it only while the host is away", () => {
    expect(mayEnd("host", [])).toBe(true);
    expect(mayEnd("co-host", [{ role: "speaker" }])).toBe(true);
    expect(mayEnd("co-host", [{ role: "host" }])).toBe(false);
    expect(mayEnd("speaker", [])).toBe(false);
  });
});

describe("what is said when the stage changes", () => {
  const stage = (you: Partial<You>, more: Partial<Stage> = {}): Stage => ({
    you: { ...person("me", "speaker"), agreed: true, answer_within_s: null, place: null, ...you },
    consent_needed: false, hands: [], people: [], hold_music: null, ...more,
  });
  const check = (before: Stage, after: Stage, said: string) =>
    expect(changes(before, after).map(({ key, name }) => (name ? `${key} ${name}` : key)).join(", ")).toBe(said);

  it("is who came and who went", () => {
    const said = moves([{ id: "a", name: "A" }, { id: "me", name: "M" }], [{ id: "b", name: "B" }], "me");
    expect(said).toEqual([{ key: "stage-someone-joined", name: "B" }, { key: "stage-someone-left", name: "A" }]);
  });

  it("is what you are now", () => {
    check(stage({}), stage({ role: "co-host" }), "stage-you-co-host");
    check(stage({ role: "host" }), stage({ role: "co-host" }), "stage-you-co-host");
    check(stage({}), stage({ role: "listener", presence: "away" }), "stage-you-listener");
    check(stage({}), stage({ role: "listener", presence: "away", standing: "removed" }), "stage-you-removed");
    check(stage({ standing: "removed" }), stage({}), "stage-you-pardoned");
    check(stage({}), stage({}), "");
  });

  it("is what became of your asking", () => {
    const asks = stage({ role: "listener", presence: "away", place: 3 });
    const called = stage({ role: "listener", presence: "called", answer_within_s: 60 });
    check(asks, called, "stage-you-called");
    check(called, stage({ role: "listener", presence: "away" }), "ask-lapsed");
    check(called, stage({ role: "speaker", presence: "coming" }), "");
    check(asks, stage({ role: "listener", presence: "away", place: 2 }), "");
    check(asks, stage({ role: "listener", presence: "away" }), "ask-dismissed");
  });

  it("is who asks and who answers, for whoever hosts", () => {
    const hands = [{ id: "a", name: "A" }];
    const before = stage({ role: "host" }, { people: [person("b", "listener", { presence: "called" })] });
    const after = stage({ role: "host" }, { hands, people: [person("b", "speaker", { presence: "coming" }), person("c", "listener", { presence: "called" })] });
    check(before, after, "stage-someone-asks A, stage-someone-comes B, stage-someone-called C");
    check(before, stage({ role: "host" }, { people: [person("b", "listener", { presence: "away" })] }), "stage-someone-declined B");
    check(stage({}), stage({ role: "co-host" }, { hands }), "stage-you-co-host");
  });
});
