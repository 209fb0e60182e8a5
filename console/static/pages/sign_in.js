import { post } from "../api.js";
import { h } from "../dom.js";

export async function signIn(page) {
  const said = h("p", { class: "care", role: "alert" });
  const name = h("input", { name: "name", autocomplete: "username", required: true, class: "field" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true, class: "field" });
  const form = h("form", { class: "card sign-in", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await post("/sign-in", { name: name.value, password: password.value });
      location.assign("/");
    } catch (error) {
      said.textContent = error.message;
      password.value = "";
      password.focus();
    }
  } }, h("h1", {}, "Sign in"), h("label", {}, "Name", name), h("label", {}, "Password", password), said, h("button", { type: "submit" }, "Sign in"));
  page.replaceChildren(h("div", { class: "page" }, form));
  name.focus();
  return () => {};
}
