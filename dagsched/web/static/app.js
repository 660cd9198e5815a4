// What every page does: clocks that go on, states that follow the events, keys. Without it everything still works.
import { keys } from "./keys.js";
import { follow } from "./live.js";
import { choose } from "./choose.js";
import { tick } from "./clock.js";
import { zone } from "./zone.js";

tick();
zone();
keys();
follow();
choose();
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
