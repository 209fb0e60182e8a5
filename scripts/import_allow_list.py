"""An import-linter contract that lists what a room may import; everything else is forbidden.

The linter's own contracts list what is forbidden, so that an import nobody thought of passes. `allowed_modules` may
name any module; importing it or what lies under it is allowed, as is whatever lies under the source modules. With
`first_party_only` other libraries are not looked at.
"""

from importlinter import Contract, ContractCheck, fields, output


class AllowListContract(Contract):
    """Used in pyproject.toml as `type = "allow_list"`."""

    source_modules = fields.ListField(subfield=fields.StringField())
    allowed_modules = fields.ListField(subfield=fields.StringField())
    first_party_only = fields.BooleanField(required=False, default=True)

    def check(self, graph, verbose):
        """Every direct import of a source module that no allowed module covers."""
        first_party = {module.partition(".")[0] for module in graph.modules if not graph.is_module_squashed(module)}
        wrong = []
        for module in sorted(graph.modules):
            if not _covered(module, self.source_modules):
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                known = _covered(imported, (*self.allowed_modules, *self.source_modules))
                if not known and (not self.first_party_only or imported.partition(".")[0] in first_party):
                    wrong.append((module, imported))
        missing = [name for name in self.source_modules if name not in graph.modules]
        return ContractCheck(kept=not wrong and not missing, metadata={"wrong": wrong, "missing": missing})

    def render_broken_contract(self, check):
        """One line for each import, and for each source module that is not there any more."""
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} imports {imported}", bold=False)
        for name in check.metadata["missing"]:
            output.print_error(f"there is no module {name}: correct source_modules", bold=False)


def _covered(module, packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)
