/** What is worth saying when the stage has changed: to everybody who came and went, to yourself what you are now, to hosts who asks. Pure. */
import type { Person, Stage } from "../api/spaces";
import type { Speaker } from "../player/event";
import { hosts } from "./may";

/** A message by its key, with a name in it if it is about somebody. */
export interface Change {
  key: string;
  name?: string;
}

/** Who came on the stage and who left it, but you. */
export function moves(before: Speaker[], after: Speaker[], me: string | null): Change[] {
  const new_ = (one: Speaker[], other: Speaker[]) => one.filter(({ id }) => id !== me && !other.some((known) => known.id === id));
  return [
    ...new_(after, before).map(({ name }) => ({ key: "stage-someone-joined", name })),
    ...new_(before, after).map(({ name }) => ({ key: "stage-someone-left", name })),
  ];
}

/** What has become of you, and of those whom you host. */
export function changes(before: Stage, after: Stage): Change[] {
  const [was, is] = [before.you, after.you];
  const said: Change[] = [];
  if (is.standing !== was.standing && is.standing !== "welcome") return [{ key: `stage-you-${is.standing}` }];
  if (is.standing !== was.standing) said.push({ key: "stage-you-pardoned" });
  if (is.role !== was.role) {
    const accepted = was.role === "listener" && is.role === "speaker";
    if (!accepted) said.push({ key: `stage-you-${is.role}` });
  }
  if (is.presence === "called" && was.presence !== "called") said.push({ key: "stage-you-called" });
  // Not taken and not refused: whoever does either is not told what they did.
  if (is.presence === "away" && was.presence === "called") said.push({ key: "ask-lapsed" });
  if (is.place === null && was.place !== null && is.presence === "away") said.push({ key: "ask-dismissed" });
  if (!hosts(is.role)) return said;
  const asked = (id: string) => before.hands.some((hand) => hand.id === id);
  // A co-host who has just become one is not told of each hand.
  const asks = hosts(was.role) ? after.hands.filter(({ id }) => !asked(id)) : [];
  said.push(...asks.map(({ name }) => ({ key: "stage-someone-asks", name })));
  for (const person of after.people) {
    const old = before.people.find(({ id }) => id === person.id);
    if (person.id !== is.id && hosts(was.role)) said.push(...ofPerson(old, person));
  }
  return said;
}

function ofPerson(was: Person | undefined, is: Person): Change[] {
  const { name } = is;
  if (is.presence === "called" && was?.presence !== "called") return [{ key: "stage-someone-called", name }];
  if (is.presence === "coming" && was?.presence === "called") return [{ key: "stage-someone-comes", name }];
  if (is.presence === "away" && (was?.presence === "called" || was?.presence === "coming")) return [{ key: "stage-someone-declined", name }];
  return [];
}
