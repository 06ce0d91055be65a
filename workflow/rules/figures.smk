rule figure:
    """Draw a figure; write its numbers and its caption beside it."""
    input:
        results=ask(needs.results_of_figure, "figure"),
        weights=ask(needs.weights_of_figure, "figure"),
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=ask(needs.group_of_figure, "figure"),
            labels={"figure": "{figure}"},
        ),
        numbers=f"{RESULTS}/figures/{{figure}}.csv",
        caption=f"{RESULTS}/figures/{{figure}}.rst",
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    localrule: True  # unless a profile groups its jobs, as profiles/slurm does
    resources:
        mem_mb=grown(memory.of_figure, "figure"),
        slot=1,
    params:
        spec=ask(specs.of_figure, "figure"),
        weights=ask(needs.weighed_in_figure, "figure"),
    shell:
        "landscape figure --spec {params.spec:q} --name {wildcards.figure:q} --input {input.results:q}"
        " --weights {params.weights:q} --output {output.pdf:q} > {log:q} 2>&1"


rule table:
    """Tabulate measured and published test errors."""
    input:
        results=ask(needs.histories_of_table, "table"),
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        markdown=f"{RESULTS}/tables/{{table}}.md",
        tex=f"{RESULTS}/tables/{{table}}.tex",
        html=report(
            f"{RESULTS}/tables/{{table}}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"{RESULTS}/logs/table/{{table}}.log",
    localrule: True
    params:
        spec=ask(specs.of_table, "table"),
    shell:
        "landscape table --spec {params.spec:q} --name {wildcards.table:q} --input {input.results:q}"
        " --output {output:q} > {log:q} 2>&1"


rule summary:
    """Tabulate all runs, the lines between them, and their training paths."""
    input:
        results=needs.results_of_summary(EXPERIMENT),
    output:
        csv=f"{RESULTS}/summary.csv",
        markdown=f"{RESULTS}/summary.md",
        tex=f"{RESULTS}/summary.tex",
        html=report(
            f"{RESULTS}/summary.html",
            caption="../report/summary.rst",
            category="Summary",
        ),
        lines=f"{RESULTS}/lines.csv",
        paths=f"{RESULTS}/paths.csv",
    log:
        f"{RESULTS}/logs/summary.log",
    localrule: True
    params:
        spec=specs.of_summary(EXPERIMENT),
    shell:
        "landscape summary --input {input.results:q} --output {output:q} > {log:q} 2>&1"


rule claims:
    """Judge the paper's claims by these runs."""
    input:
        results=needs.results_of_claims(EXPERIMENT),
    output:
        markdown=f"{RESULTS}/claims.md",
        html=report(
            f"{RESULTS}/claims.html",
            caption="../report/claims.rst",
            category="Claims",
        ),
    log:
        f"{RESULTS}/logs/claims.log",
    localrule: True
    params:
        spec=specs.of_claims(EXPERIMENT),
    shell:
        "landscape claims --spec {params.spec:q} --input {input.results:q} --output {output:q} > {log:q} 2>&1"


rule configuration:
    """Write the resolved configuration: sweeps expanded, defaults stated."""
    input:
        CHECKED,
    output:
        yaml=f"{RESULTS}/config.yaml",
        html=report(
            f"{RESULTS}/config.html",
            caption="../report/configuration.rst",
            category="Configuration",
        ),
    log:
        f"{RESULTS}/logs/configuration.log",
    localrule: True
    shell:
        "landscape configuration {input:q} --output {output:q} > {log:q} 2>&1"
