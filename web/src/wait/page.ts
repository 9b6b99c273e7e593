/** Waiting in the light page of a space. */
import { say, speak } from "../page/text";
import { by, put } from "../page/view";
import type { Told } from "../player/ticket";
import type { Language } from "../text/language";
import { calendar, until, words } from "./wait";

/** Until it is time, or until somebody stops. */
export async function queue(title: string, told: Told, signal: AbortSignal): Promise<void> {
  const line = document.createElement("p");
  line.className = "elsewhere";
  if (told.stage === "rank") by("notice").after(line);
  const link = document.createElement("a");
  [link.download, link.id, link.href] = ["hiwar.ics", "calendar", calendar(title, location.href, Date.now() + told.wait_ms)];
  line.append(link);
  await until(told, signal, (left) => {
    speak(document.documentElement.lang as Language);
    put("notice", words(told.stage, left, say));
    link.textContent = say("page-wait-calendar");
  });
  line.remove();
}
