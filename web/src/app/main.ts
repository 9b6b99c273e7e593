/** Starts the app: language first, so that nothing is painted in the wrong direction. */
import { mount } from "svelte";
import "./fonts.css";
import "../text/tokens.css";
import "./app.css";
import App from "./App.svelte";
import { begin } from "./i18n.svelte";

await begin();
mount(App, { target: document.getElementById("app")! });
