/** Runs in <head>, before anything is painted: the language and the direction of the page. Nothing else. */
import { apply, choose, stored } from "../text/language";

apply(choose(location.search, stored(), navigator.languages));
