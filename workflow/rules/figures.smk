rule figure:
    """Draw a figure; the numbers it shows and its caption lie beside it."""
    input:
        surfaces=ask(jobs.surfaces_of_figure, "figure"),
        histories=ask(jobs.histories_of_figure, "figure"),
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=ask(jobs.group_of_figure, "figure"),
            labels={"figure": "{figure}"},
        ),
        numbers=f"{RESULTS}/figures/{{figure}}.csv",
        caption=f"{RESULTS}/figures/{{figure}}.rst",
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    localrule: True
    params:
        spec=ask(specs.of_figure, "figure"),
    shell:
        "landscape figure --spec {params.spec:q} --name {wildcards.figure:q} --surface {input.surfaces:q}"
        " --history {input.histories:q} --output {output.pdf:q} > {log:q} 2>&1"


rule summary:
    """The table over all runs."""
    input:
        surfaces=jobs.surfaces_of_summary(EXPERIMENT),
        histories=[jobs.history_file(EXPERIMENT, run) for run in EXPERIMENT.runs],
    output:
        csv=f"{RESULTS}/summary.csv",
        markdown=f"{RESULTS}/summary.md",
        html=report(
            f"{RESULTS}/summary.html",
            caption="../report/summary.rst",
            category="Summary",
        ),
    log:
        f"{RESULTS}/logs/summary.log",
    localrule: True
    params:
        spec=specs.of_summary(EXPERIMENT),
    shell:
        "landscape summary --surface {input.surfaces:q} --history {input.histories:q} --output {output:q} > {log:q} 2>&1"


rule configuration:
    """The configuration as it was understood: sweeps expanded, defaults stated."""
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
