/** In each test file: Node loads TypeScript, as it does for a scenario of a user's own. */

import { registerTypeScript } from "../src/lang/load.ts";

registerTypeScript();
