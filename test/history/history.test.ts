import { historySuite } from "../conformance/history.ts";
import { memory, officialSqlite, postgres, sqlite } from "./savers.ts";

historySuite("LangGraph's MemorySaver", memory, { deltaForks: false });
historySuite("the official SqliteSaver", officialSqlite, { deltaForks: false });
historySuite("SqliteSaver", sqlite, { deltaForks: true });
historySuite("PostgresSaver", postgres, { deltaForks: true });
