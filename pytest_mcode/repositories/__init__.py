"""Issues of repositories: their images, the patches that models write, and swebench's grading in containers of ours."""
