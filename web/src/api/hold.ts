/** Hold music, given and taken away. A file of megabytes: by the one way that says how much of it is sent. */
import { asHolder, Problem, stageOrigin, type Stage } from "./spaces";

/** Sends a WAV file; `sent` hears of its way, 0 to 1. */
export async function giveHold(token: string, id: string, wav: Blob, sent: (part: number) => void): Promise<Stage> {
  const origin = await stageOrigin();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `${origin}/api/spaces/v1${path(id)}`);
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Content-Type", "audio/wav");
    request.setRequestHeader("Accept-Language", document.documentElement.lang);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => sent(loaded / total);
    request.onload = () => {
      const answer = request.response as (Stage & { type?: string; detail?: string }) | null;
      if (request.status === 200 && answer) resolve(answer);
      else reject(new Problem(request.status, answer?.type ?? "", answer?.detail ?? ""));
    };
    request.onerror = () => reject(new Problem(0, "network", ""));
    request.send(wav);
  });
}

/** Silence again. */
export function takeHold(token: string, id: string): Promise<Stage> {
  return asHolder(token, "DELETE", path(id));
}

const path = (id: string) => `/spaces/${encodeURIComponent(id)}/hold-music`;
